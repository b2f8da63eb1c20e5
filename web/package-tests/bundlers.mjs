// The npm package as projects get it, packed or linked, in what they build and serve with: `node web/package-tests/bundlers.mjs`,
// after `cargo xtask web --build`. With a word, only the tests whose names have it.
//
// A project imports the package and nothing else: no plugin, no option, no file copied.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import webpack from 'webpack';
import { launch } from '../tests/browser.mjs';
import { needs, remark, runAll } from '../tests/runner.mjs';
import { serve } from '../tests/server.mjs';

const here = resolve(fileURLToPath(import.meta.url), '..');
const built = join(here, '../dist/package');
/** Milliseconds that a page may take on a busy machine. */
const PATIENCE = 120_000;

needs(join(built, 'lookahead_wgpu.js'), 'cargo xtask web --build');
const folder = await mkdtemp(join(tmpdir(), 'lookahead-bundlers-'));
const npm = (words, cwd) => promisify(execFile)('npm', words, { cwd });
const { stdout } = await npm(['pack', '--json', '--pack-destination', folder], built);
const tarball = join(folder, JSON.parse(stdout)[0].filename);
const browser = await launch();

/** A project of its own, outside this repository, that has installed the package. */
async function project(name, from) {
  const root = join(folder, name);
  await cp(join(here, 'app'), root, { recursive: true });
  await writeFile(join(root, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  await npm(['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--install-links=false', from], root);
  return root;
}

/** The page and its worker both train. */
async function trains(address) {
  const page = await (await browser.newContext()).newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  try {
    await page.goto(address);
    // Vite may load the page again once it has found the dependency.
    const outcome = await page.waitForFunction(() => window.outcome, undefined, { timeout: PATIENCE });
    assert.deepEqual(await outcome.jsonValue(), { page: Math.fround(0.95), worker: Math.fround(0.95) });
  } catch (error) {
    throw new Error(`${error.message}\nthe page's errors: ${errors.join('\n')}`);
  } finally {
    await page.context().close();
  }
}

async function viteServes(vite, root) {
  const server = await vite.createServer({ root, configFile: false, logLevel: 'error', server: { host: '127.0.0.1', port: 0 } });
  try {
    await server.listen();
    await trains(server.resolvedUrls.local[0]);
  } finally {
    await server.close();
  }
}

async function viteBuilds(vite, root) {
  await vite.build({ root, configFile: false, logLevel: 'error' });
  await trains(await serve(join(root, 'dist')));
}

async function webpackBuilds(root) {
  const path = join(root, 'dist');
  const compiler = webpack({ mode: 'production', context: root, entry: './main.js', output: { path }, performance: false });
  const stats = await promisify(compiler.run.bind(compiler))();
  await promisify(compiler.close.bind(compiler))();
  assert.deepEqual(stats.toJson({ errors: true, warnings: true }).errors, []);
  assert.deepEqual(stats.toJson({ errors: true, warnings: true }).warnings, []);
  await cp(join(root, 'index.html'), join(path, 'index.html'));
  await trains(await serve(path));
}

/** A page without tools names the file, since workers have no import maps. */
async function plainly(root) {
  const file = join(root, 'train.js');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('\'lookahead-wgpu\'', '\'./node_modules/lookahead-wgpu/lookahead_wgpu.js\''));
  await trains(await serve(root));
}

/** The Vite that this Node.js runs: the newest wants Node.js 20.19 or 22.12, the other runs on what is older, too. */
async function vites() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const isNew = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);
  return Promise.all([import('vite-6'), ...(isNew ? [import('vite')] : [])]);
}

const tests = [];
const test = (name, from, run) => tests.push({ name, run: async () => run(await project(`project-${tests.length}-${Date.now()}`, from)) });

for (const vite of await vites()) {
  test(`Vite ${vite.version} serves the packed package`, tarball, (root) => viteServes(vite, root));
  test(`Vite ${vite.version} serves the linked package`, built, (root) => viteServes(vite, root));
  test(`Vite ${vite.version} builds with the packed package`, tarball, (root) => viteBuilds(vite, root));
}
test(`webpack ${webpack.version} builds with the packed package`, tarball, webpackBuilds);
test('a plain page and a plain worker import the file', tarball, plainly);

process.on('exit', () => rm(folder, { recursive: true, force: true }));
await runAll(tests);
