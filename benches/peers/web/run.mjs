// Times the npm package beside its peers in Chromium, and prints JSON: `node benches/peers/web/run.mjs [SECONDS]`, after
// `cargo xtask web --build` and `npm ci --prefix benches/peers/web`.
//
// SECONDS of samples for each, 2 where left out. Chromium is /usr/bin/chromium or $CHROMIUM.

import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../../../web/tests/browser.mjs';
import { needs } from '../../../web/tests/runner.mjs';
import { serve } from '../../../web/tests/server.mjs';
import { K, TIMED } from './settings.js';
import { parameters, rows } from './statistics.mjs';

const seconds = Number(process.argv[2] ?? 2);
if (!(seconds >= 0)) {
  console.error(`error: ${process.argv[2]} is no number of seconds; give 2, say`);
  process.exit(2);
}
const root = resolve(fileURLToPath(import.meta.url), '../../../..');
needs(join(root, 'web/dist/package/lookahead_wgpu.js'), 'cargo xtask web --build');
needs(join(root, 'benches/peers/web/node_modules'), 'npm ci --prefix benches/peers/web');

/** Milliseconds that the page may take to load on a busy machine. */
const PATIENCE = 240_000;

const address = await serve(root);
const browser = await launch();
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('console', (message) => ['error', 'info', 'warning'].includes(message.type()) && console.error(message.text()));
  // What fails in a script would be waited for in vain.
  const failed = new Promise((_, reject) => {
    page.on('pageerror', (error) => reject(error));
    page.on('crash', () => reject(new Error('the page crashed')));
  });
  failed.catch(() => {});
  const within = (promise) => Promise.race([promise, failed]);
  await within(page.goto(`${address}benches/peers/web/`));
  await within(page.waitForFunction(() => window.peers));
  await within(page.evaluate(() => window.peers.check()));
  const measured = await within(page.evaluate((seconds) => window.peers.measure(seconds), seconds));
  const report = {
    adapter: await page.evaluate(() => window.peers.adapter()),
    driver: `Chromium ${browser.version()}`,
    tensors: '256x256',
    count: TIMED.length,
    parameters,
    k: K,
    rows: rows(measured),
  };
  console.log(JSON.stringify(report, null, 2));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  process.exit();
}
