// The page in Chromium, from end to end: `node web/page/tests/e2e.mjs`, after `cargo xtask web --build`.
//
// Chromium is /usr/bin/chromium or $CHROMIUM. Screenshots go to web/dist/screenshots.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { launch } from '../../tests/browser.mjs';
import { remark, runAll } from '../../tests/runner.mjs';
import { longestTask } from './busy.mjs';
import { idx } from './idx.mjs';
import './link.mjs';
import './network.mjs';
import {
  begins, browsers, close, open, ready, root, screenshots, status, test, testAlone, tests, told,
} from './page.mjs';
import './paths.mjs';
import './sweeps.mjs';

/** SwiftShader, as Chromium brings it, for the native program. */
const driver = process.env.SWIFTSHADER_ICD ?? '/usr/lib/chromium/vk_swiftshader_icd.json';
/** Milliseconds from which browsers call a task on the main thread long. */
const LONG_TASK = 50;

const step = (page, run) => page.locator(`[data-run="${run}"]`).getAttribute('data-step').then(Number);
const reach = (page, run, step) => page.waitForFunction(
  ([run, step]) => Number(document.querySelector(`[data-run="${run}"]`).dataset.step) >= step, [run, step]);
const figure = async (page, run, key) => Number(await page.locator(`[data-run="${run}"] .${key}`).getAttribute('value'));
const epoch = async (page, run) => JSON.parse(await page.locator(`[data-run="${run}"]`).getAttribute('data-epoch'));
/** Whether the whole of it is on the screen. */
const isInSight = (locator) => locator.evaluate((element) => {
  const { top, bottom } = element.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
});
const begin = (page) => page.click('#train');

/** Removes the second run. */
const alone = (page) => page.getByRole('button', { name: 'Remove adam' }).click();

async function checkpoint(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
  return readFile(await download.path());
}

const safetensors = (buffer) => ({ name: 'run.safetensors', mimeType: 'application/octet-stream', buffer });

/** How far each plot's line of a run reaches: the share of the width, 0 where there is no line. */
const reaches = (page, run) => page.evaluate((run) => {
  const colour = getComputedStyle(document.documentElement).getPropertyValue(`--run-${run}`).trim();
  const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return [...document.querySelectorAll('#chart canvas')].map((canvas) => {
    const { data, width } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let last = 0;
    for (let pixel = 0; pixel < data.length / 4; pixel++) {
      if (wanted.every((value, i) => data[4 * pixel + i] === value)) last = Math.max(last, pixel % width);
    }
    return last / width;
  });
}, run);

/** Waits until every plot has a run's line, as far as it goes. */
const drawn = async (page, run) => {
  for (let turn = 0; turn < 20; turn++) {
    if ((await reaches(page, run)).every((reach) => reach > 0.9)) return;
    await page.waitForTimeout(100);
  }
  assert.fail(`run ${run} is drawn up to ${await reaches(page, run)} of the plots' width`);
};

/** Draws with the mouse; points are in hundredths of the surface. */
async function draw(page, strokes) {
  const canvas = page.locator('#canvas');
  await canvas.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await canvas.boundingBox();
  for (const [first, ...rest] of strokes) {
    const place = ([h, v]) => [x + width * h / 100, y + height * v / 100];
    await page.mouse.move(...place(first));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...place(point), { steps: 4 });
    await page.mouse.up();
  }
}

/** What the network says of the whole drawing. */
async function settled(page) {
  await begins(page, 'verdict', 'It looks');
  // The last stroke's answer comes after the first one's.
  await page.waitForTimeout(500);
  return page.textContent('#verdict');
}

/** The native program, as `cargo test --workspace` builds it for the program's own tests, so that it is there. */
async function train() {
  const words = ['test', '--quiet', '--workspace', '--test', 'train', '--no-run', '--message-format', 'json'];
  const { stdout } = await promisify(execFile)('cargo', words, { cwd: root, maxBuffer: 2 ** 26 });
  const built = stdout.trim().split('\n').map((line) => JSON.parse(line));
  return built.find(({ target, executable }) => executable && target.name === 'train' && target.kind.includes('bin')).executable;
}

const ring = Array.from({ length: 25 }, (_, i) => [50 + 22 * Math.sin(i * Math.PI / 12), 50 - 34 * Math.cos(i * Math.PI / 12)]);
const digits = {
  0: [ring],
  1: [[[38, 30], [52, 14], [52, 86]]],
  4: [[[58, 14], [28, 62], [76, 62]], [[62, 40], [58, 88]]],
  7: [[[28, 16], [72, 16], [46, 86]]],
};

testAlone('trains the digits to 95 %, compares two runs, and stays responsive', async () => {
  const page = await ready(await open());
  const longest = await longestTask(page, async () => {
    await begin(page);
    await status(page, 'Training.');
    await page.waitForFunction(() => document.getElementById('images-rate').textContent !== '–');
    await status(page, 'Done.');
  });
  remark(`${await page.textContent('#adapter')}: ${await page.textContent('#images-rate')} images/s with two runs`);
  remark(`longest task on the main thread: ${longest.own} ms of its own time, ${longest.clock} ms by the clock`);
  assert.deepEqual(await Promise.all([step(page, 0), step(page, 1)]), [460, 460]);
  const [slow, rule] = [await figure(page, 0, 'slow'), await figure(page, 1, 'fast')];
  remark(`test accuracy: slow weights ${slow}, rule alone ${rule}`);
  assert.ok(slow >= 0.95 && rule >= 0.95, 'both reach 95 %');
  assert.ok(longest.own < LONG_TASK, 'no long task');
  // That none was seen means something only where one would have been.
  const seen = await longestTask(page, () => page.evaluate(() => {
    for (const began = performance.now(); performance.now() - began < 500;);
  }));
  assert.ok(seen.own > LONG_TASK, `a task of 500 ms by the clock took ${seen.own} ms`);
  await Promise.all([drawn(page, 0), drawn(page, 1)]);
  assert.match(await page.getAttribute('#chart', 'aria-label'), /lookahead\(adam\) at step 460: loss .* adam at step 460/);

  let right = 0;
  for (const [digit, strokes] of Object.entries(digits)) {
    await page.click('#clear');
    await draw(page, strokes);
    const verdict = await settled(page);
    remark(`a drawn ${digit}: ${verdict}`);
    right += verdict.startsWith(`It looks like a ${digit} `);
    assert.equal(await page.locator('#classes li').count(), 10);
  }
  assert.equal(right, 4, 'every drawn digit is recognised');

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#png')]);
  const png = await readFile(await download.path());
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  assert.ok(png.length > 10_000, `${png.length} bytes`);
  const shot = async (name, colorScheme, width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await page.evaluate(() => scrollTo(0, 0));
    await page.waitForTimeout(300);
    const reach = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(reach <= width, `${reach} pixels wide, on a screen of ${width}`);
    await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
  };
  await shot('desktop-light', 'light', 1280);
  await shot('desktop-dark', 'dark', 1280);
  await shot('phone-light', 'light', 360);
  await shot('phone-dark', 'dark', 390);
  await close(page);
});

test('agrees with the native program on the same adapter and seed', async () => {
  const settings = { rule: 'heavy-ball', epochs: 4, seed: 7 };
  const file = join(tmpdir(), `lookahead-${process.pid}.json`);
  const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  await promisify(execFile)(await train(), ['--adapter', 'swiftshader', '--json', file, ...words],
    { env: { ...process.env, VK_ADD_DRIVER_FILES: driver } });
  const native = JSON.parse(await readFile(file, 'utf8'));
  await rm(file);
  assert.match(native.adapter, /SwiftShader/);
  const page = await ready(await open());
  await alone(page);
  await page.selectOption('[name=rule]', settings.rule);
  await page.fill('[name=epochs]', String(settings.epochs));
  await page.fill('[name=seed]', String(settings.seed));
  await begin(page);
  await status(page, 'Done.');
  const there = native.runs[0].epochs.at(-1);
  const here = await epoch(page, 0);
  for (const key of ['train_loss', 'test_loss']) {
    const difference = Math.abs(here[key] / there[key] - 1);
    remark(`${key} after ${here.epoch} epochs: native ${there[key]}, page ${here[key]}, difference ${difference.toExponential(1)}`);
    assert.ok(difference < 1e-3, `${key} differs by ${difference}`);
  }
  assert.equal(here.epoch, there.epoch);
  await close(page);
});

test('pauses, and a saved checkpoint comes back bit for bit and goes on as if never stopped', async () => {
  const page = await ready(await open());
  await alone(page);
  // So many that the training is not over before it can be paused.
  await page.fill('[name=epochs]', '20');
  await begin(page);
  await reach(page, 0, 20);
  await begin(page);
  await status(page, 'Paused.');
  const paused = await step(page, 0);
  await page.waitForTimeout(500);
  assert.equal(await step(page, 0), paused, 'nothing happens while it is paused');
  assert.ok(paused < 460, `paused at ${paused}`);
  const saved = await checkpoint(page);
  await begin(page);
  await status(page, 'Done.');
  const end = await checkpoint(page);
  assert.notDeepEqual(end, saved);

  const other = await ready(await open());
  await alone(other);
  await other.fill('[name=epochs]', '20');
  // Loaded while another training goes on, which ends it.
  await begin(other);
  await reach(other, 0, 4);
  await other.setInputFiles('#load', safetensors(saved));
  await status(other, `Loaded run.safetensors: at step ${paused}.`);
  assert.equal(await step(other, 0), paused);
  assert.deepEqual(await checkpoint(other), saved, 'saved again, it is the same');
  await begin(other);
  await status(other, 'Done.');
  assert.deepEqual(await checkpoint(other), end, 'and it ends the same');
  remark(`${saved.length} bytes, at step ${paused} of 460`);

  await other.setInputFiles('#load', safetensors(saved.subarray(0, 1000)));
  await told(other, 'That did not work');
  await close(page);
  await close(other);
});

test('says that the GPU was lost, opens it again and goes on', async () => {
  const page = await ready(await open());
  await alone(page);
  await begin(page);
  await reach(page, 0, 60);
  await begin(page);
  await status(page, 'Paused.');
  const kept = await step(page, 0);
  const before = await checkpoint(page);
  await page.click('summary');
  await page.click('#lose');
  await told(page, `lost and is back: training is paused, and goes on from step ${kept}`);
  assert.deepEqual(await checkpoint(page), before, 'the same state on the new device');
  await begin(page);
  await reach(page, 0, kept + 20);
  await page.click('#lose');
  remark(await told(page, 'is back: training goes on from step'));
  assert.ok(await isInSight(page.locator('#notice')), 'however far the page is scrolled');
  await page.screenshot({ path: join(screenshots, 'lost.png') });
  await page.getByRole('button', { name: 'Close' }).click();
  assert.ok(await page.locator('#notice').isHidden());
  await status(page, 'Done.');
  assert.equal(await step(page, 0), 460);
  await close(page);
});

test('trains on IDX files that are dropped, and says what is wrong with others', async () => {
  const page = await ready(await open());
  await alone(page);
  await page.fill('[name=epochs]', '2');
  const drop = async (files) => {
    const data = await page.evaluateHandle((files) => {
      const transfer = new DataTransfer();
      for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
      return transfer;
    }, files.map(([name, bytes]) => [name, [...bytes]]));
    await page.dispatchEvent('body', 'drop', { dataTransfer: data });
  };
  const four = idx();
  await drop(four);
  await begins(page, 'dataset', 'your files');
  assert.equal(await page.textContent('#dataset'), 'your files: 200 images of 28 × 28 to train on, 40 to test on');
  await begin(page);
  await status(page, 'Done.');
  assert.equal(await step(page, 0), 8);
  await drop(four.slice(0, 2));
  await begins(page, 'dataset', 'your files: 160 images');
  assert.equal(await step(page, 0), 0, 'it begins anew');
  await drop([four[0]]);
  await told(page, '1 files were given');
  await drop([four[0], ['notes.txt', Buffer.from('hello, world')]]);
  await told(page, '`notes.txt` is not an IDX file');
  await page.click('#digits');
  await begins(page, 'dataset', 'digits');
  await close(page);
});

test('offers every rule, adaptive alpha and four runs', async () => {
  const page = await ready(await open());
  const rules = await page.locator('[name=rule] option').allTextContents();
  assert.ok(rules.length >= 18, `only ${rules.length} rules`);
  await page.check('[name=adaptive]');
  await page.click('#add');
  await page.selectOption('[name=rule]', 'lamb');
  await page.check('[name=lookahead]');
  await page.selectOption('[name=policy]', 'interpolate');
  await page.click('#add');
  await page.selectOption('[name=rule]', 'adafactor');
  assert.ok(!await page.locator('#add').isVisible(), 'four are the most');
  await page.fill('[name=epochs]', '1');
  await begin(page);
  await status(page, 'Done.');
  for (let run = 0; run < 4; run++) assert.equal(await step(page, run), 23);
  assert.equal(await page.locator('#chart .uplot').count(), 3, 'alpha has a panel');
  assert.ok(await page.locator('[name=rule]').isDisabled(), 'what has begun is not changed');
  await page.screenshot({ path: join(screenshots, 'four-runs.png'), fullPage: true });
  await page.click('#reset');
  await status(page, 'Ready.');
  // What the form does not catch, the library does.
  await page.fill('[name=hidden]', '0');
  await begin(page);
  assert.ok(await page.locator('[name=hidden]:invalid').isVisible());
  await close(page);
});

test('starts over in the middle of training', async () => {
  const page = await ready(await open());
  await begin(page);
  await reach(page, 1, 20);
  await page.click('#reset');
  await status(page, 'Ready.');
  await page.waitForTimeout(500);
  assert.deepEqual(await Promise.all([step(page, 0), step(page, 1)]), [0, 0], 'nothing comes after');
  assert.deepEqual(await reaches(page, 0), [0, 0], 'no line is left');
  assert.ok(await page.locator('[name=rule]').isEnabled());
  // A field that is left empty is not the run's, which the card shows.
  await page.fill('[name=learning_rate]', '');
  await page.locator('[data-run="1"] label').click();
  await page.getByRole('button', { name: 'Remove adam' }).click();
  assert.ok(await page.locator('[data-run="0"] input').evaluate((input) => input === document.activeElement), 'the focus stays');
  assert.equal(await page.inputValue('[name=learning_rate]'), '0.003');
  await page.fill('[name=epochs]', '1');
  await begin(page);
  await status(page, 'Done.');
  assert.equal(await step(page, 0), 23);
  await drawn(page, 0);
  await close(page);
});

test('says that a run has diverged', async () => {
  const page = await ready(await open());
  await alone(page);
  await page.selectOption('[name=rule]', 'lamb');
  await page.fill('[name=learning_rate]', '1000');
  await page.fill('[name=epochs]', '2');
  await begin(page);
  await status(page, 'Done.');
  assert.equal(await page.textContent('[data-run="0"] .loss'), 'diverged');
  await draw(page, digits[1]);
  await begins(page, 'verdict', 'This run has diverged');
  await close(page);
});

test('works with the keyboard alone', async () => {
  const page = await ready(await open());
  const focused = () => page.evaluate(() => document.activeElement.id);
  const tabTo = async (id) => {
    for (let i = 0; i < 60 && await focused() !== id; i++) await page.keyboard.press('Tab');
    assert.equal(await focused(), id, `Tab reaches ${id}`);
  };
  await tabTo('train');
  await page.keyboard.press('Enter');
  await reach(page, 0, 80);
  await page.keyboard.press('Enter');
  await status(page, 'Paused.');
  await tabTo('canvas');
  for (const key of [' ', ...Array(12).fill('ArrowDown'), ' ']) await page.keyboard.press(key);
  remark(`a line drawn with the arrow keys: ${await settled(page)}`);
  await page.keyboard.press('Delete');
  await begins(page, 'verdict', 'Train');
  const unnamed = await page.locator('button, input, select').evaluateAll((all) => all
    .filter((each) => !each.labels?.length && !each.ariaLabel && !each.textContent.trim() && each.checkVisibility())
    .map((each) => each.outerHTML));
  assert.deepEqual(unnamed, [], 'every control has a name');
  await close(page);
});

test('draws with a finger on a phone, and the page stays where it is', async () => {
  const page = await ready(await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }));
  await alone(page);
  await page.fill('[name=epochs]', '8');
  assert.equal(await page.evaluate(() => visualViewport.scale), 1, 'a field does not make the phone zoom in');
  await page.locator('#train').tap();
  await status(page, 'Done.');
  const canvas = page.locator('#canvas');
  await canvas.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await canvas.boundingBox();
  const before = await page.evaluate(() => scrollY);
  const session = await page.context().newCDPSession(page);
  const touch = (type, ...points) => session.send('Input.dispatchTouchEvent', {
    type, touchPoints: points.map(([h, v], id) => ({ x: x + width * h / 100, y: y + height * v / 100, id })),
  });
  await touch('touchStart', ring[0]);
  for (const point of ring) await touch('touchMove', point);
  // A second finger draws nothing.
  await touch('touchStart', ring.at(-1), [5, 5]);
  await touch('touchMove', ring.at(-1), [95, 95]);
  await touch('touchEnd');
  const verdict = await settled(page);
  remark(`a 0 drawn with a finger: ${verdict}`);
  assert.match(verdict, /^It looks like a 0/);
  assert.equal(await page.evaluate(() => scrollY), before, 'the finger draws and does not scroll');
  await page.screenshot({ path: join(screenshots, 'finger.png') });
  await close(page);
});

test('opens the GPU at the press of a button where it is not back at once', async () => {
  const patch = `const original = GPUAdapter.prototype.requestDevice;
    let count = 0;
    GPUAdapter.prototype.requestDevice = function (...words) {
      count += 1;
      return count === 2 ? Promise.reject(new DOMException('not now', 'OperationError')) : original.apply(this, words);
    };`;
  const page = await ready(await open({ patch }));
  await alone(page);
  await page.fill('[name=epochs]', '2');
  await begin(page);
  await status(page, 'Done.');
  const before = await checkpoint(page);
  await page.click('summary');
  await page.click('#lose');
  await status(page, 'Stopped.');
  remark(await told(page, 'gave no device: OperationError: not now)'));
  for (const id of ['train', 'reset', 'save', 'load']) assert.ok(await page.locator(`#${id}`).isDisabled(), `${id} waits for the GPU`);
  await page.getByRole('button', { name: 'Try again' }).click();
  await told(page, 'is back');
  assert.deepEqual(await checkpoint(page), before, 'nothing is lost');
  await close(page);
});

test('says so where there is no WebGPU, and where it has no GPU', async () => {
  const without = await launch({ hasGpu: false });
  const page = await open({}, without);
  await status(page, 'Stopped.');
  remark(await told(page, 'no GPU to offer'));
  assert.ok(await page.locator('#train').isDisabled());
  await page.screenshot({ path: join(screenshots, 'no-gpu.png') });
  await close(page);
  await without.close();
  const patch = "Object.defineProperty(WorkerNavigator.prototype, 'gpu', { value: undefined });";
  const old = await open({ patch });
  await status(old, 'Stopped.');
  await told(old, 'This browser has no WebGPU');
  await close(old);
});

await mkdir(screenshots, { recursive: true });
await runAll(tests, browsers);
