// The engine's thread: trains while there is nothing else to do, and answers messages between two strides of it.

import init, { Trainer } from './lookahead_wgpu_page.js';

/** Milliseconds that a stride should take: short enough to answer quickly, long enough to keep a GPU busy. */
const STRIDE = 80;
const MOST_STEPS = 64;
/** Milliseconds between two reports. */
const REPORT = 120;
/** Milliseconds between two states that are kept, to go on from when the GPU is lost. */
const KEEP = 3000;

const inbox = [];
let wake = () => {};
let trainer = null;
/** Whether there is a GPU to work with. */
let isOpen = false;
let isTraining = false;
/** When the GPU was opened again, lately. */
let recoveries = [];
/** The browser's reason, where the GPU was lost. */
let lost = null;
/** The settings that each run was begun with. */
const begun = new Map();
/** Steps of a stride, the same for every run, so that they stay side by side. */
let steps = 4;
const done = new Set();
let news = [];
let reported = 0;
let kept = 0;

self.onmessage = ({ data }) => { inbox.push(data); wake(); };

function onLost(reason) {
  lost = reason;
  wake();
}

/** Opens the GPU, and says so. */
async function open() {
  if (!self.isSecureContext) throw problem('insecure');
  if (!navigator.gpu) throw problem('no-webgpu');
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw problem('no-adapter');
  trainer = await Trainer.open(onLost);
  isOpen = true;
  const { vendor, architecture, device, description } = adapter.info;
  const name = description || [vendor, device || architecture].filter(Boolean).join(' ') || 'unnamed';
  postMessage({ type: 'opened', adapter: name, choices: JSON.parse(Trainer.choices()), dataset: dataset() });
}

function problem(kind) {
  return Object.assign(new Error(kind), { kind });
}

function dataset() {
  return JSON.parse(trainer.dataset());
}

/** Takes in what is new, which it returns, and tells it now and then. */
function tell(text, isUrgent = false) {
  const part = text && JSON.parse(text);
  if (part) news.push(part);
  const now = performance.now();
  if (news.length > 0 && (isUrgent || now - reported >= REPORT)) {
    postMessage({ type: 'news', news, at: now });
    news = [];
    reported = now;
  }
  return part;
}

function tellState() {
  postMessage({ type: 'state', isTraining });
}

/** Tells what there is to train on, with no run begun. */
function tellDataset() {
  postMessage({ type: 'dataset', dataset: dataset() });
}

/** Forgets all runs. */
function forget() {
  for (const id of begun.keys()) trainer.end(id);
  begun.clear();
  done.clear();
  news = [];
  isTraining = false;
}

/** Begins a run, unless it was begun with these settings. */
async function begin(id, settings) {
  const text = JSON.stringify(settings);
  if (begun.get(id) === text) return;
  await trainer.begin(id, text);
  begun.set(id, text);
  done.delete(id);
}

/** Waits for all that was submitted and keeps it. */
async function settle() {
  for (const id of begun.keys()) tell(await trainer.settle(id));
  kept = performance.now();
  tell(null, true);
}

const answers = {
  async start({ runs }) {
    for (const { id, settings } of runs) await begin(id, settings);
    isTraining = true;
    kept = performance.now();
    tellState();
  },
  async pause() {
    isTraining = false;
    await settle();
    tellState();
  },
  async reset() {
    forget();
    tellDataset();
  },
  async end({ id }) {
    trainer.end(id);
    begun.delete(id);
    done.delete(id);
  },
  async predict({ id, pixels }) {
    postMessage({ type: 'prediction', id, probabilities: begun.has(id) ? await trainer.predict(id, pixels) : null });
  },
  async images({ most }) {
    const { width, height, brightest } = dataset();
    const [pixels, labels] = [trainer.pixels(most), trainer.labels(most)];
    const images = { pixels, labels, inputs: width * height, scale: 1 / brightest };
    postMessage({ type: 'images', images }, [pixels.buffer, labels.buffer]);
  },
  async checkpoint({ id, name }) {
    const { first, losses } = tell(await trainer.settle(id), true);
    const bytes = await trainer.checkpoint(id);
    postMessage({ type: 'checkpoint', name, step: first + losses.length, bytes }, [bytes.buffer]);
  },
  async restore({ id, settings, file }) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (isTraining) {
      isTraining = false;
      await settle();
    }
    await begin(id, settings);
    await trainer.restore(id, bytes);
    done.delete(id);
    tellState();
    postMessage({ type: 'restored', name: file.name, history: JSON.parse(trainer.history(id)) });
  },
  async digits() {
    await trainer.use_digits();
    forget();
    tellDataset();
  },
  async files({ files }) {
    const contents = await Promise.all(files.map(async (file) => new Uint8Array(await file.arrayBuffer())));
    await trainer.use_files(files.map((file) => file.name), contents);
    forget();
    tellDataset();
  },
  async lose() {
    trainer.lose();
  },
  async retry() {
    await (trainer ? recover() : open());
  },
};

/** Opens another GPU device and goes on from the states that were kept last. */
async function recover() {
  lost = null;
  isOpen = false;
  await trainer.recover();
  isOpen = true;
  news = [];
  done.clear();
  const now = performance.now();
  recoveries = [...recoveries.filter((time) => now - time < 30_000), now];
  // A GPU that fails again and again is left in peace.
  isTraining &&= recoveries.length < 3;
  const histories = [...begun.keys()].map((id) => JSON.parse(trainer.history(id)));
  postMessage({ type: 'recovered', histories, isTraining });
}

/** One stride of every run. */
async function train() {
  const began = performance.now();
  const open = [...begun.keys()].filter((id) => !done.has(id));
  for (const id of open) {
    const { is_done: isDone } = tell(await trainer.advance(id, steps));
    if (isDone) done.add(id);
  }
  const factor = STRIDE * open.length / Math.max(performance.now() - began, 1);
  steps = Math.min(MOST_STEPS, Math.max(1, Math.round(steps * Math.min(2, Math.max(0.5, factor)))));
  if (done.size === begun.size) {
    isTraining = false;
    await settle();
    tellState();
  } else if (performance.now() - kept > KEEP) {
    await settle();
  }
}

/** Does one thing that is there to do. */
async function turn() {
  if (isOpen && lost !== null) {
    postMessage({ type: 'lost', reason: lost });
    await recover();
  } else if (inbox.length > 0) {
    const message = inbox.shift();
    if (isOpen || message.type === 'retry') await answers[message.type](message);
  } else if (isOpen && isTraining) {
    await train();
  } else {
    await new Promise((resolve) => { wake = resolve; });
  }
}

/** Whether the GPU was lost, or is known to be soon: what fails for it does so before the news comes. */
async function isLost() {
  if (lost === null) await new Promise((resolve) => { wake = resolve; setTimeout(resolve, 500); });
  return lost !== null;
}

/** Tells what went wrong, unless the next turn mends it. */
async function fail(error) {
  // After a panic the engine is in no state to go on.
  if (error instanceof WebAssembly.RuntimeError) throw error;
  if (isOpen && await isLost()) return;
  isTraining = false;
  tellState();
  const kind = error.kind ?? (isOpen ? 'problem' : 'no-device');
  postMessage({ type: 'failed', kind, message: String(error.message ?? error) });
}

async function work() {
  await init();
  await open().catch(fail);
  for (;;) await turn().catch(fail);
}

work().catch((error) => postMessage({ type: 'failed', kind: 'fatal', message: String(error.message ?? error) }));
