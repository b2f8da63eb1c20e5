// `ModuleLookahead` in Chromium on SwiftShader, beside f64: `node burn/web/run.mjs`, after what the README of `burn` says.

import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../../web/tests/browser.mjs';
import { needs, runAll } from '../../web/tests/runner.mjs';
import { serve } from '../../web/tests/server.mjs';

/** Milliseconds that the training may take on a busy machine. */
const PATIENCE = 600_000;

const here = resolve(fileURLToPath(import.meta.url), '..');
needs(join(here, 'dist/lookahead_burn.js'), 'cargo build and bindgen, as in burn/README.md');
const address = await serve(here);
const browser = await launch();

async function train() {
  const page = await browser.newPage();
  const trouble = new Promise((_, reject) => {
    page.on('console', (message) => message.type() === 'error' && reject(new Error(message.text())));
    page.on('pageerror', (error) => reject(error));
    page.on('crash', () => reject(new Error('the page crashed')));
    setTimeout(() => reject(new Error(`not done after ${PATIENCE / 1000} s`)), PATIENCE).unref();
  });
  await page.goto(address);
  const run = page.evaluate(async () => {
    const module = await import('/dist/lookahead_burn.js');
    await module.default();
    return module.run();
  });
  return Promise.race([run, trouble]);
}

await runAll([{ name: 'a network is trained as in f64', run: train }]);
