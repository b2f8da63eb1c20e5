// Sweeps, on the npm package.

import assert from 'node:assert/strict';
import { remark } from '../../tests/runner.mjs';
import { close, open, press, ready, says, seconds, status, test, told } from './page.mjs';

/** The words of each small chart, and the heights of its curves' points on the screen, where down is less. */
const charts = (page) => page.locator('#multiples svg').evaluateAll((all) => all.map((svg) => ({
  words: svg.ariaLabel,
  curves: [...svg.querySelectorAll('path')].map((path) => (
    [...path.getAttribute('d').matchAll(/ ([\d.]+)/g)].map(([, height]) => Number(height)))),
})));

test('sweeps learning rates, with and without Lookahead, and names both engines', async () => {
  const page = await ready(await open());
  await page.fill('#sweep [name=steps]', '60');
  const began = Date.now();
  await press(page, 'sweep');
  await says(page, 'sweep', 'Done: 12 runs of 60 steps.');
  remark(`12 runs of 60 steps in ${seconds(began)} s`);
  const all = await charts(page);
  assert.equal(all.length, 6);
  assert.match(all[2].words, /^Learning rate 0\.003\. lookahead\(adam\): [\d.]+, adam: [\d.]+, after 60 steps$/);
  for (const { words, curves } of all) {
    assert.equal(curves.length, 2, words);
    for (const curve of curves) assert.ok(curve.length === 30 && curve.at(-1) > curve[0], `${words}: ${curve}`);
  }
  remark(all[4].words);
  assert.match(await page.textContent('#results'), /Rust on wgpu/);
  assert.match(await page.textContent('#package'), /^lookahead-wgpu \d+\.\d+\.\d+$/);
  assert.equal(await page.textContent('#status'), 'Ready.', 'the runs are as they were');
  await close(page);
});

test('sweeps k and alpha until it is stopped, while the runs train', async () => {
  const page = await ready(await open());
  await page.fill('[name=epochs]', '1');
  await page.selectOption('#sweep [name=over]', 'cycles');
  await page.fill('#sweep [name=steps]', '5000');
  await press(page, 'sweep');
  await page.click('#train');
  await says(page, 'sweep', /Step \d+ of 5000/);
  await status(page, 'Done.');
  assert.ok(await page.locator('#sweep [name=steps]').isDisabled());
  await press(page, 'sweep');
  await says(page, 'sweep', /Stopped at step \d+ of 5000/);
  const all = await charts(page);
  assert.equal(all.length, 9);
  assert.match(all[5].words, /^k 10, α 0\.8\. lookahead\(adam\): [\d.–]+/);
  assert.equal(await page.textContent('#sweep form button'), 'Start sweep');
  await close(page);
});

test('says which runs of a sweep have diverged', async () => {
  const page = await ready(await open());
  await page.selectOption('[name=rule]', 'lamb');
  await page.fill('[name=learning_rate]', '1000');
  await page.fill('#sweep [name=steps]', '30');
  await press(page, 'sweep');
  await says(page, 'sweep', 'Done');
  const [{ words }] = (await charts(page)).slice(-1);
  assert.match(words, /lamb: diverged/);
  remark(words);
  await close(page);
});

test('sweeps with every rule of the form', async () => {
  const page = await ready(await open());
  const end = await page.evaluate(async () => {
    const { choice } = await import('./controls.js');
    const { within, USUAL } = await import('./settings.js');
    const { begin } = await import('./jobs.js');
    const names = [...document.querySelector('[name=rule]').options].map(({ value }) => value);
    const runs = names.map((name) => within(choice(name), choice(name).learning_rate, USUAL));
    const images = { pixels: new Uint8Array(32).fill(9), labels: new Uint8Array(2), inputs: 16, scale: 0.1 };
    const steps = [];
    return new Promise((resolve) => {
      begin('sweep', { runs, images, steps: 6, batch: 2, seed: 1 }, (message) => {
        if (message.type === 'losses') steps.push(message.parts.map(({ losses }) => losses.length));
        else resolve({ ...message, steps, rules: runs.map(({ rule }) => rule.name) });
      });
    });
  });
  assert.equal(end.type, 'ended', end.message);
  assert.deepEqual(end.steps, [end.rules.map(() => 6)]);
  remark(`${end.rules.length}: ${[...new Set(end.rules)].join(', ')}`);
  await close(page);
});

test('says that the sweeps\' GPU was lost, and takes another; the runs are untouched', async () => {
  const patch = `const original = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...words) {
      const device = await original.apply(this, words);
      GPUAdapter.prototype.requestDevice = original;
      setTimeout(() => device.destroy(), 3000);
      return device;
    };`;
  const page = await ready(await open({ patch, patched: '**/lab/lab.js' }));
  await page.fill('#sweep [name=steps]', '5000');
  await press(page, 'sweep');
  remark(await told(page, 'The sweeps\' GPU was lost'));
  await says(page, 'sweep', 'Stopped.');
  assert.equal(await page.textContent('#status'), 'Ready.');
  await page.fill('#sweep [name=steps]', '10');
  await press(page, 'sweep');
  await says(page, 'sweep', 'Done');
  await close(page);
});
