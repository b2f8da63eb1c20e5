// `lookahead-wgpu/tfjs` with TensorFlow.js in Chromium: `node web/package-tests/tfjs.mjs`, after `cargo xtask web --build`. With a
// word, only the tests whose names have it.
//
// Chromium is /usr/bin/chromium or $CHROMIUM.

import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../tests/browser.mjs';
import { needs, remark, runAll } from '../tests/runner.mjs';
import { serve } from '../tests/server.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../../..');
/** Milliseconds that a test may take on a busy machine. */
const PATIENCE = 240_000;

needs(join(root, 'web/dist/package/tfjs.js'), 'cargo xtask web --build');
const address = await serve(root);
const browser = await launch();

/** A page with TensorFlow.js for each test. */
async function inPage(name) {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE);
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${address}web/package-tests/tfjs.html`);
  await page.waitForFunction(() => window.tests);
  const late = new Promise((_, reject) => { setTimeout(() => reject(new Error(`not done after ${PATIENCE} ms`)), PATIENCE).unref(); });
  remark(await Promise.race([page.evaluate((test) => window.tests.run(test), name), late]));
  assert.deepEqual(errors, [], 'nothing else failed');
  await page.context().close();
}

const page = await (await browser.newContext()).newPage();
await page.goto(`${address}web/package-tests/tfjs.html`);
await page.waitForFunction(() => window.tests);
const names = await page.evaluate(() => window.tests.names);
await page.context().close();
await runAll(names.map((name) => ({ name, run: () => inPage(name) })));
