// The npm package in Chromium: `node web/package-tests/run.mjs`, after `cargo xtask web --build`. With a word, only the
// tests whose names have it. One compares with the library on wgpu, which `cargo xtask web --test` builds.
//
// Chromium is /usr/bin/chromium or $CHROMIUM.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { launch, launchSeveral } from '../tests/browser.mjs';
import { needs, remark, runAll } from '../tests/runner.mjs';
import { serve } from '../tests/server.mjs';

const web = resolve(fileURLToPath(import.meta.url), '../..');
/** Milliseconds that a test may take on a busy machine. */
const PATIENCE = 240_000;

needs(join(web, 'dist/package/lookahead_wgpu.js'), 'cargo xtask web --build');
const address = `${await serve(resolve(web, '..'))}web/`;
const browsers = await launchSeveral();
const [browser] = browsers;

/** The page with the tests, and what its scripts failed at. */
async function open(from = browser, patch) {
  const page = await (await from.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE);
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') page.errors.push(message.text()); });
  if (patch) await page.addInitScript(patch);
  await page.goto(`${address}package-tests/index.html`);
  await page.waitForFunction(() => window.tests);
  return page;
}

/** Runs one of the page's tests on a page of its own. */
async function inPage(name, from, patch) {
  const page = await open(from, patch);
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`not done after ${PATIENCE} ms`)), PATIENCE).unref());
  remark(await Promise.race([page.evaluate((name) => window.tests.run(name), name), late]));
  assert.deepEqual(page.errors, [], 'nothing else failed');
  await page.context().close();
}

const first = await open();
const tests = (await first.evaluate(() => window.tests.names)).map((name) => ({ name, run: (lane) => inPage(name, lane) }));
await first.context().close();
const test = (name, run) => tests.push({ name, run });

test('says so where the browser has no adapter', async () => {
  const without = await launch({ hasGpu: false });
  try {
    await inPage('no adapter', without);
  } finally {
    await without.close();
  }
});

test('says so where the browser has no WebGPU', () => inPage('no WebGPU', browser,
  'Object.defineProperty(Navigator.prototype, "gpu", { value: undefined })'));

/** What a page gets that has this Content-Security-Policy. */
async function under(policy) {
  const page = await (await browser.newContext()).newPage();
  await page.route('**/index.html', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': policy } });
  });
  await page.goto(`${address}package-tests/index.html`);
  await page.waitForFunction(() => window.tests);
  const outcome = await page.evaluate(async () => {
    const { Optimizer } = await import('lookahead-wgpu');
    try {
      const optimizer = await Optimizer.create({ rule: { name: 'adam' }, tensors: [{ name: 'w', shape: [2] }] });
      optimizer.step();
      return optimizer.steps;
    } catch ({ name, kind, message }) {
      return { name, kind, message };
    }
  });
  await page.context().close();
  return outcome;
}

test('a page with a Content-Security-Policy needs `wasm-unsafe-eval`, and nothing else', async () => {
  // The tests' own page has inline scripts.
  const scripts = 'default-src \'none\'; script-src \'self\' \'unsafe-inline\'';
  assert.equal(await under(`${scripts} 'wasm-unsafe-eval'`), 1);
  const { name, kind, message } = await under(scripts);
  assert.deepEqual({ name, kind }, { name: 'LookaheadError', kind: 'WebAssembly' });
  assert.match(message, /could not be compiled: .*; the page's Content-Security-Policy must have 'wasm-unsafe-eval' in its script-src$/);
});

test('the types name every call, and no other', async () => {
  const types = await readFile(join(web, 'dist/package/lookahead_wgpu.d.ts'), 'utf8');
  const [, body] = /^export class Optimizer \{\n(.*?)^\}/ms.exec(types);
  const typed = [...body.matchAll(/^ {2}(?:static |readonly )?(\w+)[(:]/gm)].map(([, name]) => name);
  const { Optimizer } = await import(join(web, 'dist/package/lookahead_wgpu.js'));
  const there = [...Object.getOwnPropertyNames(Optimizer.prototype).filter((name) => name !== 'constructor'), 'create', 'createSync'];
  assert.deepEqual(typed.sort(), there.sort());
  assert.ok(typed.length > 20, `${typed}`);
});

test('the README\'s page runs on a package from a CDN', async () => {
  const readme = await readFile(join(web, 'README.md'), 'utf8');
  const [, html] = /```html\n(.*?)```/s.exec(readme);
  const page = await (await browser.newContext()).newPage();
  await page.route('**/cdn.html', (route) => route.fulfill({ contentType: 'text/html', body: html }));
  await page.route('https://cdn.jsdelivr.net/npm/lookahead-wgpu@0.1/*', async (route) => {
    const file = new URL(route.request().url()).pathname.split('/').at(-1);
    const headers = { 'access-control-allow-origin': '*', 'content-type': 'text/javascript' };
    await route.fulfill({ headers, body: await readFile(join(web, 'dist/package', file)) });
  });
  await page.goto(`${address}cdn.html`);
  await page.waitForFunction(() => document.title.startsWith('on '), null, { timeout: PATIENCE });
  remark(await page.title());
  await page.context().close();
});

test('a freed optimizer leaves its device to the garbage collector', async () => {
  const page = await open();
  await page.evaluate(async () => {
    const { Optimizer } = await import('lookahead-wgpu');
    const optimizer = await Optimizer.create({ rule: { name: 'adam' }, tensors: [{ name: 'w', shape: [2] }] });
    optimizer.step();
    await optimizer.weights('w');
    optimizer.lost();
    window.device = new WeakRef(optimizer.device);
    optimizer.free();
  });
  const isThere = () => page.evaluate(() => window.device.deref() !== undefined);
  for (let turn = 0; turn < 50 && await isThere(); turn++) {
    await page.requestGC();
    await page.waitForTimeout(100);
  }
  assert.equal(await isThere(), false);
  await page.context().close();
});

test('the README shows the example that is tested', async () => {
  const [readme, example] = await Promise.all(['README.md', 'package-tests/example.js']
    .map((file) => readFile(join(web, file), 'utf8')));
  assert.ok(readme.includes(`\`\`\`js\n${example}\`\`\``), 'it is there word for word');
});

test('npm packs the module, its types, and the licences', async () => {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json'], { cwd: join(web, 'dist/package') });
  const [{ files }] = JSON.parse(stdout);
  assert.deepEqual(files.map(({ path }) => path).sort(), ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'arguments.js',
    'device.js', 'error.js', 'fit.js', 'glue.js', 'instance.js', 'jax.d.ts', 'jax.js', 'lookahead_wgpu.d.ts', 'lookahead_wgpu.js', 'lookahead_wgpu_bg.wasm', 'module.js',
    'package.json', 'tfjs.d.ts', 'tfjs.js', 'trigger.js', 'wasm.js']);
});

test('TypeScript finds the types right, and wrong options wrong', async () => {
  const tsc = join(web, 'node_modules/typescript/bin/tsc');
  // The libraries' own types need not be right.
  for (const project of ['tsconfig.json', 'tsconfig.libraries.json']) {
    try {
      await promisify(execFile)(process.execPath, [tsc, '--project', join(web, 'package-tests', project)]);
    } catch (error) {
      throw new Error(error.stdout || error.message);
    }
  }
});

await runAll(tests, browsers);
