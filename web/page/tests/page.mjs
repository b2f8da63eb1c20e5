// What tests of the page share: pages that are served and opened, and what is waited for on them.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchSeveral } from '../../tests/browser.mjs';
import { needs } from '../../tests/runner.mjs';
import { serve } from '../../tests/server.mjs';

export const root = resolve(fileURLToPath(import.meta.url), '../../../..');
export const dist = join(root, 'web/dist');
export const screenshots = join(dist, 'screenshots');
/** Milliseconds that anything may take on a busy machine. */
const PATIENCE = 240_000;

/** The browser of the test at work. */
const own = new AsyncLocalStorage();

export const tests = [];
export const test = (name, run) => tests.push({ name, run: (browser) => own.run(browser, run) });
/** One that has the machine to itself. */
export const testAlone = (name, run) => { test(name, run); tests.at(-1).isAlone = true; };

needs(join(dist, 'page/index.html'), 'cargo xtask web --build');
export const address = await serve(join(dist, 'page'));
export const browsers = await launchSeveral();

/** A new page, of which a script, the engine's worker where nothing is said, runs `patch` first. Errors on it are failures. */
export async function open({ patch, patched = '**/worker.js', path = '', ...options } = {}, from = own.getStore()) {
  const context = await from.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  if (patch) {
    await page.route(patched, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${patch}\n${await response.text()}` });
    });
  }
  await page.goto(address + path);
  return page;
}

export async function close(page) {
  assert.deepEqual(page.errors, [], 'no script failed');
  await page.context().close();
}

/** Waits until an element's text begins so. */
export const begins = (page, id, words) => page.waitForFunction(
  ([id, words]) => document.getElementById(id).textContent.startsWith(words), [id, words]);
export const status = (page, text) => page.waitForFunction(
  (text) => document.getElementById('status').textContent === text, text);
export const ready = async (page) => { await status(page, 'Ready.'); return page; };

/** The message that the page shows, once it has these words. */
export async function told(page, words) {
  const message = page.locator('#notice p').filter({ hasText: words, visible: true });
  await message.waitFor();
  return (await message.textContent()).trim();
}

/** Presses the button that begins what a section does, or stops it. */
export const press = (page, section) => page.click(`#${section} form button`);
/** Waits for a section's words. */
export const says = (page, section, words) => page.locator(`#${section} form p`).filter({ hasText: words }).waitFor();
/** The seconds since then. */
export const seconds = (began) => ((Date.now() - began) / 1000).toFixed(1);
