// The npm package in Chromium: `node web/package-tests/run.mjs`, after `cargo xtask web --build`. With a word, only the
// tests whose names have it.
//
// Chromium is /usr/bin/chromium or $CHROMIUM.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { launch } from '../page/tests/browser.mjs';
import { serve } from '../page/tests/server.mjs';

const web = resolve(import.meta.dirname, '..');
/** Milliseconds that a test may take on a busy machine. */
const PATIENCE = 240_000;

if (!existsSync(join(web, 'dist/package/lookahead_wgpu.js'))) {
  console.error('there is no web/dist/package: run `cargo xtask web --build` first');
  process.exit(1);
}
const server = await serve(web);
const browser = await launch();

/** The page with the tests, and what its scripts failed at. */
async function open(from = browser, patch) {
  const page = await (await from.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE);
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') page.errors.push(message.text()); });
  if (patch) await page.addInitScript(patch);
  await page.goto(`${server.address}package-tests/index.html`);
  await page.waitForFunction(() => window.tests);
  return page;
}

/** Runs one of the page's tests on a page of its own. */
async function inPage(name, from, patch) {
  const page = await open(from, patch);
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`not done after ${PATIENCE} ms`)), PATIENCE).unref());
  const remark = await Promise.race([page.evaluate((name) => window.tests.run(name), name), late]);
  assert.deepEqual(page.errors, [], 'nothing else failed');
  await page.context().close();
  return remark;
}

const first = await open();
const tests = (await first.evaluate(() => window.tests.names)).map((name) => ({ name, run: () => inPage(name) }));
await first.context().close();
const test = (name, run) => tests.push({ name, run });

test('says so where the browser has no adapter', async () => {
  const without = await launch({ hasGpu: false });
  try {
    return await inPage('no adapter', without);
  } finally {
    await without.close();
  }
});

test('says so where the browser has no WebGPU', () => inPage('no WebGPU', browser,
  'Object.defineProperty(Navigator.prototype, "gpu", { value: undefined })'));

test('the README shows the example that is tested', async () => {
  const [readme, example] = await Promise.all(['README.md', 'package-tests/example.js']
    .map((file) => readFile(join(web, file), 'utf8')));
  assert.ok(readme.includes(`\`\`\`js\n${example}\`\`\``), 'it is there word for word');
});

test('TypeScript finds the types right, and wrong options wrong', async () => {
  const [tsc, project] = ['node_modules/typescript/bin/tsc', 'package-tests/tsconfig.json'].map((file) => join(web, file));
  try {
    await promisify(execFile)(process.execPath, [tsc, '--project', project]);
  } catch (error) {
    throw new Error(error.stdout || error.message);
  }
});

const only = process.argv[2];
const chosen = tests.filter(({ name }) => !only || name.includes(only));
let failed = 0;
for (const { name, run } of chosen) {
  const began = Date.now();
  try {
    const remark = await run();
    console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    if (remark) console.log(`      ${remark}`);
  } catch (error) {
    failed += 1;
    console.error(`FAIL  ${name}\n${error.stack}`);
  }
}
await browser.close();
server.end();
console.log(`${chosen.length - failed} passed, ${failed} failed`);
// A test that failed may have left a browser behind, which would keep this process alive.
process.exit(failed > 0 || chosen.length === 0 ? 1 : 0);
