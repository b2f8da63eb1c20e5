// The page: what the visitor does goes to the engine's worker, and what that tells is shown.

import { Chart } from './chart.js';
import * as controls from './controls.js';
import { Pad, image, preview } from './draw.js';
import * as files from './files.js';
import { engine } from './jobs.js';
import * as link from './link.js';
import * as notice from './notice.js';
import * as paths from './paths.js';
import * as runs from './runs.js';
import * as sweep from './sweep.js';

/** Milliseconds between two times that figures and chart are shown anew. */
const DRAW = 200;
/** Milliseconds over which speeds are means. */
const SPEED = 2000;

const at = (id) => document.getElementById(id);
const worker = new Worker('worker.js', { type: 'module' });
const send = (message) => worker.postMessage(message);
const chart = new Chart(at('chart'));
const pad = new Pad(at('canvas'), () => { look(); ask(); });

let all = [];
let selected = null;
let nextId = 0;
let isReady = false;
let isTraining = false;
let dataset = null;
/** Whether a prediction is under way, and whether the drawing changed meanwhile. */
let isAsking = false;
let isOutdated = false;
/** When so many images and steps were reported. */
let reports = [];
/** Who waits for images to train on. */
let waiting = [];

const run = (id) => all.find((run) => run.id === id);
const isBegun = (run) => isTraining || run.step > 0;
const hasBegun = () => all.some(isBegun);

worker.onmessage = ({ data }) => told[data.type](data);
worker.onerror = (event) => told.failed({ kind: 'fatal', message: event.message ?? 'the engine could not be loaded' });

const reopen = { name: 'Try again', run: () => { say('Opening the GPU…'); send({ type: 'retry' }); } };
const close = { name: 'Close', run: () => {} };
const reload = { name: 'Reload', run: () => location.reload() };
const help = 'Chrome, Edge, Safari 26 and Firefox have it, in their newest versions';
const problems = {
  insecure: () => ['WebGPU works on pages from https or localhost alone; open this one so.'],
  'no-webgpu': () => [`This browser has no WebGPU. ${help}; on Linux, start Chrome with --enable-unsafe-webgpu.`],
  'no-adapter': () => ['The browser has WebGPU, but no GPU to offer. Check that hardware acceleration is on in its '
    + 'settings and that the GPU\'s driver is new.', reopen],
  'no-device': (message) => [`The GPU could not be opened (${message}). Your runs are kept.`, reopen],
  fatal: (message) => [`The engine stopped (${message}).`, reload],
  problem: (message) => [`That did not work: ${message}`, close],
};
/** The same of the sweeps' and paths' thread, where it is not the runs that have stopped. */
const labProblems = {
  insecure: problems.insecure,
  'no-webgpu': problems['no-webgpu'],
  'no-adapter': () => [problems['no-adapter']()[0], close],
  lost: (message) => [`The sweeps' GPU was lost (${message}). Start what it did once more; the runs are untouched.`, close],
};

const told = {
  opened({ adapter, choices, dataset }) {
    notice.hide();
    at('adapter').textContent = at('adapter').title = adapter;
    if (all.length === 0) {
      controls.begin(choices, change);
      for (const hasLookahead of [true, false]) insert(controls.usual('adam', hasLookahead));
      selected = all[0].id;
    }
    isReady = true;
    told.dataset({ dataset });
    follow();
  },
  dataset(message) {
    ({ dataset } = message);
    notice.hide();
    const { name, width, height, train, test } = dataset;
    const count = (number) => number.toLocaleString();
    at('dataset').textContent
      = `${name}: ${count(train)} images of ${width} × ${height} to train on, ${count(test)} to test on`;
    at('digits').hidden = name === 'digits';
    isTraining = false;
    forget();
    look();
    say('Ready.');
  },
  news({ news, at: now }) {
    let [images, steps] = [0, 0];
    for (const part of news) {
      const found = run(part.id);
      if (!found) continue;
      runs.update(found, part);
      chart.add(part);
      images += part.images;
      steps += part.losses.length;
    }
    reports = [...reports.filter((report) => now - report.now < SPEED), { now, images, steps }];
    isChanged = true;
  },
  state(message) {
    ({ isTraining } = message);
    paint();
    reports = [];
    say(state());
  },
  prediction({ id, probabilities }) {
    isAsking = false;
    if (probabilities && id === selected && pad.strokes.length > 0) {
      const isNumber = probabilities.every(Number.isFinite);
      showVerdict(isNumber ? probabilities : null, isNumber ? undefined : 'This run has diverged, and sees nothing.');
    }
    if (isOutdated) ask();
  },
  images({ images }) {
    waiting.shift()?.resolve(images);
  },
  checkpoint({ name, step, bytes }) {
    files.save(`${name}-step-${step}.safetensors`, bytes, 'application/octet-stream');
    mention('Checkpoint saved.');
  },
  restored({ name, history }) {
    if (!run(history.id)) return;
    retell([history]);
    mention(`Loaded ${name}: at step ${run(history.id).step}.`);
    ask();
  },
  lost({ reason }) {
    notice.show(`The GPU was lost (${reason}). Opening it again…`);
    say('The GPU was lost.');
  },
  recovered({ histories, isTraining: goesOn }) {
    retell(histories);
    isReady = true;
    isTraining = goesOn;
    isAsking = false;
    const steps = histories.map(({ id }) => run(id)?.step ?? 0);
    const from = steps.some((step) => step > 0) ? `goes on from step ${steps.join(', ')}` : 'starts again';
    const training = steps.length > 0 ? `: training ${goesOn ? '' : 'is paused, and '}${from}` : '';
    notice.show(`The GPU was lost and is back${training}.`, close);
    refresh();
    say(state());
  },
  failed({ kind, message }) {
    isAsking = false;
    const [text, action] = problems[kind](message);
    notice.show(text, action);
    isReady &&= kind === 'problem';
    for (const { reject } of waiting) reject(new Error(message));
    waiting = [];
    say(isReady ? state() : 'Stopped.');
    refresh();
  },
};

function say(text) {
  at('status').textContent = text;
}

/** Says something for a while. */
function mention(text) {
  say(text);
  setTimeout(() => { if (at('status').textContent === text) say(state()); }, 3000);
}

/** What goes on, in a word. */
function state() {
  if (isTraining) return 'Training.';
  return all.every((run) => run.isDone) ? 'Done.' : hasBegun() ? 'Paused.' : 'Ready.';
}

// ---- runs

function insert(settings) {
  const made = runs.create(nextId++, settings, all);
  all.push(made);
  return made;
}

/** Shows the list, the chart's lines and the form anew. */
function rebuild() {
  runs.render(all, selected, { select, remove, add });
  chart.setRuns(all);
  refresh();
  showSettings();
}

/** Which settings cannot be changed now, and which could not when they were shown. */
const locks = () => `${isBegun(run(selected))} ${hasBegun()}`;
let shownLocks = '';

function showSettings() {
  shownLocks = locks();
  controls.show(run(selected).settings, isBegun(run(selected)), hasBegun());
}

function select(id) {
  selected = id;
  showSettings();
  refresh();
  ask();
}

/** A copy of the selected run, with the other of Lookahead and the rule alone. */
function add() {
  const { settings } = run(selected);
  const [lookahead, adaptive] = settings.lookahead ? [null, null] : [[5, 0.5, 'maintain'], null];
  selected = insert({ ...settings, lookahead, adaptive }).id;
  rebuild();
  focus();
}

/** Moves the focus to the selected run: what had it is gone. */
function focus() {
  document.querySelector(`[data-run="${selected}"] input`).focus();
}

function remove(id) {
  send({ type: 'end', id });
  all = all.filter((run) => run.id !== id);
  if (selected === id) selected = all[0].id;
  rebuild();
  focus();
}

/** The visitor changed the form. */
function change() {
  const current = run(selected);
  if (isBegun(current) || !controls.isRunValid()) return;
  current.settings = controls.run();
  rebuild();
}

/** Back to before the first step. */
function forget() {
  for (const each of all) Object.assign(each, runs.fresh());
  chart.clear();
  reports = [];
  rebuild();
  showVerdict(null);
}

/** Takes whole histories in, in place of what was shown. */
function retell(histories) {
  for (const history of histories) {
    const found = run(history.id);
    if (!found) continue;
    Object.assign(found, runs.fresh());
    runs.update(found, history);
    chart.clear(history.id);
    chart.add(history);
  }
  paint();
  showSettings();
}

// ---- what is shown

let isChanged = false;
let drawn = 0;

/** What can be pressed now. */
function refresh() {
  at('train').textContent = isTraining ? 'Pause' : hasBegun() && !all.every((run) => run.isDone) ? 'Go on' : 'Train';
  at('train').disabled = !isReady;
  at('reset').disabled = at('save').disabled = at('png').disabled = !isReady || !hasBegun();
  for (const id of ['lose', 'load', 'digits', 'data-files', 'link']) at(id).disabled = !isReady;
  for (const button of at('runs').querySelectorAll('button')) button.disabled = !isReady;
  for (const section of sections) section.setReady(isReady);
}

/** Shows what changed, now and then. */
function show(now) {
  requestAnimationFrame(show);
  if (!isChanged || now - drawn < DRAW) return;
  drawn = now;
  paint();
  if (isTraining) ask();
}
requestAnimationFrame(show);

/** Shows everything as it is. */
function paint() {
  isChanged = false;
  all.forEach(runs.refresh);
  chart.draw();
  if (selected !== null && locks() !== shownLocks) showSettings();
  refresh();
  showSpeed();
  const words = all.filter((run) => run.step > 0).map((run) => {
    const accuracy = run.slow ?? run.fast;
    const tested = accuracy === null ? '' : `, test accuracy ${(100 * accuracy).toFixed(1)} %`;
    return `${runs.title(run.settings)} at step ${run.step}: loss ${runs.lossText(run)}${tested}`;
  });
  at('chart').ariaLabel = words.join('; ') || 'Nothing was trained yet.';
}

function showSpeed() {
  const [first] = reports;
  const seconds = (reports.at(-1)?.now - first?.now) / 1000;
  if (!(seconds > 0.2)) return;
  const rate = (key) => reports.slice(1).reduce((sum, report) => sum + report[key], 0) / seconds;
  const shown = (value) => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString());
  at('images-rate').textContent = shown(rate('images'));
  at('steps-rate').textContent = shown(rate('steps'));
}

// ---- sweeps and paths

/** What their sections ask of the page. */
const asked = {
  run: () => run(selected).settings,
  shared: controls.shared,
  choice: controls.choice,
  dataset: () => dataset,
  isValid: controls.isValid,
  images: (most) => new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    send({ type: 'images', most });
  }),
  failed({ kind, message }) {
    const [text, action] = (labProblems[kind] ?? problems.problem)(message);
    notice.show(text, action);
  },
};
const sections = [sweep.create(at('sweep'), asked), paths.create(at('paths'), asked)];

engine().then((name) => { at('package').textContent = name; }, () => {});

// ---- links

/** Takes the settings over that the address carries. */
function follow() {
  try {
    const found = link.read(location.hash.slice(1), controls);
    if (!found) return;
    if (hasBegun()) throw new Error('training has begun; press Reset, and open it again');
    controls.share(found.shared);
    if (found.runs.length === 0) return;
    for (const { id } of all) send({ type: 'end', id });
    all = [];
    for (const settings of found.runs) insert(settings);
    selected = all[0].id;
    rebuild();
  } catch (error) {
    notice.show(`The link's settings were not taken: ${error.message}.`, close);
  }
}

async function copyLink() {
  if (!controls.isValid()) return;
  history.replaceState(null, '', `#${link.written(all.map((run) => run.settings), controls.shared())}`);
  try {
    await navigator.clipboard.writeText(location.href);
    mention('Link copied.');
  } catch {
    mention('The address has the link.');
  }
}

// ---- drawing

/** Shows what the network sees of the drawing. */
function look() {
  if (!dataset) return;
  preview(at('seen'), image(pad.strokes, dataset), dataset);
  if (pad.strokes.length === 0) showVerdict(null);
}

/** Asks for a prediction, one at a time. */
function ask() {
  isOutdated = isAsking;
  if (isAsking || !isReady || pad.strokes.length === 0 || !(run(selected)?.step > 0)) return;
  isAsking = true;
  send({ type: 'predict', id: selected, pixels: image(pad.strokes, dataset) });
}

const bars = Array.from({ length: 10 }, (_, digit) => {
  const item = document.createElement('li');
  item.innerHTML = `<span class="track" aria-hidden="true"><span class="fill"></span></span><span aria-hidden="true">${digit}</span>`
    + `<span class="hidden-text"></span>`;
  at('classes').append(item);
  return item;
});

function showVerdict(probabilities, otherwise = 'Train, then draw: the slow weights say what it is.') {
  const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : null;
  bars.forEach((item, digit) => {
    const percent = probabilities ? 100 * probabilities[digit] : 0;
    item.classList.toggle('best', digit === best);
    item.querySelector('.fill').style.height = `${percent}%`;
    item.querySelector('.hidden-text').textContent = probabilities ? `${digit}: ${percent.toFixed(1)} %` : '';
  });
  const text = probabilities ? `It looks like a ${best} (${(100 * probabilities[best]).toFixed(0)} %).` : otherwise;
  // Said again only where it changed, so that a screen reader does not repeat itself.
  if (at('verdict').textContent !== text) at('verdict').textContent = text;
}

// ---- what the visitor does

at('train').addEventListener('click', () => {
  if (isTraining) {
    say('Pausing…');
    send({ type: 'pause' });
  } else if (controls.isValid()) {
    notice.hide();
    say('Starting…');
    const shared = controls.shared();
    if (all.every((run) => run.isDone)) reports = [];
    send({ type: 'start', runs: all.map(({ id, settings }) => ({ id, settings: { ...settings, ...shared } })) });
  }
});
// What is under way is told before it is forgotten.
at('reset').addEventListener('click', () => send({ type: 'reset' }));
at('link').addEventListener('click', copyLink);
addEventListener('hashchange', () => { if (all.length > 0) follow(); });
at('clear').addEventListener('click', () => pad.clear());
at('digits').addEventListener('click', () => send({ type: 'digits' }));
at('lose').addEventListener('click', () => send({ type: 'lose' }));
at('save').addEventListener('click', () => {
  const name = runs.title(run(selected).settings).replace('(', '-').replace(')', '');
  send({ type: 'checkpoint', id: selected, name });
});
at('png').addEventListener('click', async () => files.save('lookahead.png', await chart.png(), 'image/png'));

const train = (chosen) => {
  if (!isReady) return;
  say('Reading the files…');
  send({ type: 'files', files: chosen });
};
files.onChoose(at('data-files'), train);
files.onDrop(train);
files.onChoose(at('load'), ([file]) => {
  if (!controls.isValid()) return;
  say('Loading…');
  send({ type: 'restore', id: selected, settings: { ...run(selected).settings, ...controls.shared() }, file });
});
