// Paths of fast and slow weights on the loss surface.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { remark } from '../../tests/runner.mjs';
import { onPlane, square, through } from '../static/lab/plane.js';
import { close, open, press, ready, says, screenshots, seconds, test } from './page.mjs';

/** How many pixels the map has of each colour. */
const colours = async (page) => new Map(await page.locator('#paths canvas').evaluate((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = data.slice(at, at + 3).join();
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return [...counts];
}));

test('a plane goes through its three points', async () => {
  const value = (i) => Math.sin(78.233 * (i + 1));
  const point = (from) => Float32Array.from({ length: 9 }, (_, i) => value(from + i));
  const [first, middle, last, other] = [0, 9, 18, 27].map(point);
  const plane = through(first, middle, last);
  const distance = (a, b) => Math.hypot(...a.map((each, i) => each - b[i]));
  const points = [first, middle, last];
  for (const a of points) {
    for (const b of points) {
      const there = distance(onPlane(plane, a), onPlane(plane, b));
      assert.ok(Math.abs(there - distance([...a], [...b])) < 1e-12, 'as far from each other as they are');
    }
  }
  assert.deepEqual(onPlane(plane, first), [0, 0]);
  const half = first.map((each, i) => each + (last[i] - each) / 2);
  assert.equal(through(first, half, last), null, 'on one line there is none');
  assert.equal(through(first, middle, first), null);
  assert.ok(Math.abs(onPlane(through(first, half, last, [half, other]), other)[1]) > 0.1, 'but with another point');
  assert.deepEqual(square([[0, 0], [2, 1]], 0.25), { left: -0.5, bottom: -1, side: 3 });
});

test('draws the paths of fast and slow weights over the loss, in any width and scheme', async () => {
  const page = await ready(await open());
  await page.fill('#paths [name=cycles]', '1');
  const began = Date.now();
  await press(page, 'paths');
  await says(page, 'paths', 'Done.');
  remark(`drawn in ${seconds(began)} s`);
  const caption = await page.textContent('#paths figcaption');
  remark(caption);
  const losses = /beginning ([\d.]+), at the last fast weights ([\d.]+), at the slow weights after them ([\d.]+):/;
  const [before, fast, slow] = caption.match(losses).slice(1).map(Number);
  assert.ok(slow < before && fast < before, 'it learns');
  assert.equal(await page.getAttribute('#paths canvas', 'aria-label'), caption);
  const [low, high] = (await page.locator('#paths .key data').allTextContents()).map(Number);
  assert.ok(low > 0 && low <= slow * 1.05 && slow <= high * 1.05, `a map from ${low} to ${high}`);
  const pixels = await colours(page);
  assert.ok(pixels.get('213,94,0') > 500, 'a slow path');
  assert.ok(pixels.get('22,25,29') > 100, 'a fast path');
  assert.ok([...pixels.values()].filter((count) => count > 2000).length >= 8, 'bands of the loss');
  await page.fill('#sweep [name=steps]', '30');
  await press(page, 'sweep');
  await says(page, 'sweep', 'Done');
  for (const [device, width] of [['desktop', 1280], ['phone', 360]]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      // Charts take their new width a little later.
      await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, { timeout: 10_000 });
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(screenshots, `lab-${device}-${colorScheme}.png`), fullPage: true });
    }
  }
  await close(page);
});

test('says that weights on one line make no plane', async () => {
  const page = await ready(await open());
  await page.fill('[name=k]', '1');
  await page.fill('#paths [name=cycles]', '1');
  await press(page, 'paths');
  await says(page, 'paths', 'These weights are on one line');
  await close(page);
});
