// The library's tests in Chromium, and every kernel as Chromium compiles it: `node web/tests/suite.mjs`.
//
// `cargo xtask web --test` builds and runs it. An argument picks the tests whose names have it.

import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchSeveral } from './browser.mjs';
import { needs, runAll } from './runner.mjs';
import { serve } from './server.mjs';

/** Milliseconds that a test may take on a busy machine. */
const PATIENCE = 900_000;

const web = resolve(fileURLToPath(import.meta.url), '../..');
needs(join(web, 'dist/tests/lookahead_wgpu_tests.js'), 'cargo xtask web --test');
const address = await serve(web);
const lanes = (await launchSeveral()).map((browser) => ({ browser, page: undefined }));

/**
 * What `run` gives on the lane's page, unless an error is reported there first. A page that saw one is closed, and the
 * next test gets another.
 */
async function onPage(lane, run, word) {
  const page = lane.page ?? await lane.browser.newPage();
  let watch;
  const trouble = new Promise((_, reject) => {
    const fail = (message) => reject(new Error(message));
    watch = setTimeout(() => fail(`not done after ${PATIENCE / 1000} s`), PATIENCE);
    page.on('console', (message) => message.type() === 'error' && fail(message.text()));
    page.on('pageerror', (error) => fail(error.stack ?? error.message));
    page.on('crash', () => fail('the page crashed'));
  });
  trouble.catch(() => {});
  try {
    if (!lane.page) await page.goto(`${address}tests/`);
    lane.page = page;
    const result = await Promise.race([page.evaluate(run, word), trouble]);
    // An error that the device reports at the very end comes after the test's answer.
    await Promise.race([page.waitForTimeout(50), trouble]);
    return result;
  } catch (error) {
    lane.page = undefined;
    await page.close();
    throw error;
  } finally {
    clearTimeout(watch);
    for (const event of ['console', 'pageerror', 'crash']) page.removeAllListeners(event);
  }
}

const run = async (name) => {
  const tests = await import('/dist/tests/lookahead_wgpu_tests.js');
  await tests.default();
  return tests.run(name);
};

const kernels = async () => {
  const tests = await import('/dist/tests/lookahead_wgpu_tests.js');
  const { make, open } = await import('/tests/pipelines.mjs');
  await tests.default();
  const kernels = JSON.parse(tests.kernels());
  const { device } = await open(navigator.gpu);
  // SwiftShader takes long over a pipeline, so each of a rule's kernels gets them in one form only.
  const seen = new Set();
  const chosen = ({ name }) => {
    const kind = name.split(',')[0];
    return !seen.has(kind) && seen.add(kind);
  };
  return { count: kernels.length, ...await make(device, kernels, chosen), kinds: seen.size };
};

async function everyKernel(lane) {
  const { count, kinds, pipelines, problems } = await onPage(lane, kernels);
  assert.deepEqual(problems, []);
  assert.ok(kinds > 0 && pipelines >= 2 * kinds, `${pipelines} pipelines of ${kinds} kernels`);
  return `${count} kernels, ${pipelines} pipelines of ${kinds} of them`;
}

/** Fails where the tests would run on anything but SwiftShader. */
async function adapter(lane) {
  const label = await onPage(lane, async () => {
    const { open } = await import('/tests/pipelines.mjs');
    return (await open(navigator.gpu)).label;
  });
  assert.match(label, /swiftshader/i);
  return `Chromium ${lane.browser.version()}: ${label}`;
}

const names = await onPage(lanes[0], async () => {
  const tests = await import('/dist/tests/lookahead_wgpu_tests.js');
  await tests.default();
  return tests.tests();
});
assert.ok(names.length > 0, 'the wasm has tests');
await runAll([
  { name: 'the adapter is SwiftShader', run: adapter },
  { name: 'every kernel compiles', run: everyKernel },
  ...names.map((name) => ({ name, run: (lane) => onPage(lane, run, name) })),
], lanes);
