// The package with TensorFlow.js and with jax-js in Chromium: `node web/package-tests/libraries.mjs`, after
// `cargo xtask web --build`. With a word, only the tests whose names have it.
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

/** A page with the library. */
async function open(library) {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE);
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  await page.goto(`${address}web/package-tests/${library}.html`);
  await page.waitForFunction(() => window.tests);
  return page;
}

/** Each test has a page of its own. */
async function inPage(library, name) {
  const page = await open(library);
  const late = new Promise((_, reject) => { setTimeout(() => reject(new Error(`not done after ${PATIENCE} ms`)), PATIENCE).unref(); });
  remark(await Promise.race([page.evaluate((test) => window.tests.run(test), name), late]));
  assert.deepEqual(page.errors, [], 'nothing else failed');
  await page.context().close();
}

const tests = [];
for (const library of ['tfjs', 'jax']) {
  const page = await open(library);
  for (const name of await page.evaluate(() => window.tests.names)) {
    tests.push({ name: `${library}: ${name}`, run: () => inPage(library, name) });
  }
  await page.context().close();
}
await runAll(tests);
