// The sweeps' network: its loss and gradients on the GPU, against doubles and finite differences here.

import assert from 'node:assert/strict';
import { remark } from '../../tests/runner.mjs';
import { close, open, test } from './page.mjs';

const [INPUTS, HIDDEN, CLASSES, ROWS] = [7, 8, 10, 6];
/** The first weights and images are so; what comes after does not repeat. */
const value = (i) => Math.sin(12.9898 * (i + 1)) * 0.9;
const LABELS = [3, 0, 9, 1, 7, 3, 5, 2];
const PIXELS = Array.from({ length: LABELS.length * INPUTS }, (_, i) => Math.round(127 * (1 + value(i))));
/** Images of the batch that is looked at, the second. */
const ORDER = [0, 1, 2, 3, 4, 5, 7, 2, 6, 0, 3, 1];

/** The mean loss of the second batch, in doubles. */
function loss(weights, { inputs, tensors }) {
  const [w1, b1, w2, b2] = tensors.map(({ start }) => start);
  const losses = ORDER.slice(ROWS).map((image) => {
    const hidden = Array.from({ length: HIDDEN }, (_, unit) => {
      let sum = weights[b1 + unit];
      for (let i = 0; i < INPUTS; i++) sum += Math.fround(PIXELS[image * INPUTS + i] / 255) * weights[w1 + i * HIDDEN + unit];
      return Math.max(sum, 0);
    });
    const logits = Array.from({ length: CLASSES }, (_, digit) => (
      hidden.reduce((sum, unit, i) => sum + unit * weights[w2 + digit * HIDDEN + i], weights[b2 + digit])));
    return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[LABELS[image]];
  });
  return losses.reduce((a, b) => a + b) / ROWS;
}

/** What the page's network makes of the same. */
const measured = (page, request) => page.evaluate(async ({ PIXELS, LABELS, ORDER, INPUTS, HIDDEN, ROWS, weights }) => {
  const { Images, Kernels, Network } = await import('/lab/network.js');
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const images = new Images(device, { pixels: new Uint8Array(PIXELS), labels: LABELS, inputs: INPUTS, scale: 1 / 255 });
  const order = Uint32Array.from(ORDER);
  const network = new Network(new Kernels(device), images, { rows: ROWS, order, steps: 3, hidden: HIDDEN });
  device.queue.writeBuffer(network.weights, 0, Float32Array.from(weights));
  const encoder = device.createCommandEncoder();
  network.train(encoder);
  network.train(encoder);
  const gradients = await network.read(encoder, network.gradients, 0, network.shape.count);
  const again = device.createCommandEncoder();
  network.evaluate(again);
  const losses = await network.losses(again, 0, 3);
  device.destroy();
  return { gradients: [...gradients], losses: [...losses] };
}, request);

test('the network of the sweeps has the right loss and gradients', async () => {
  // Beside the page, whose engine is not asked.
  const page = await open({ path: 'icon.svg' });
  const shape = await page.evaluate(async ([inputs, hidden]) => {
    const { shape } = await import('/lab/network.js');
    return shape(4 * Math.ceil(inputs / 4), hidden);
  }, [INPUTS, HIDDEN]);
  const weights = Array.from({ length: shape.count }, (_, i) => Math.fround(value(1000 + i)));
  const { gradients, losses } = await measured(page, { PIXELS, LABELS, ORDER, INPUTS, HIDDEN, ROWS, weights });
  const expected = loss(weights, shape);
  assert.ok(Math.abs(losses[1] / expected - 1) < 1e-5, `loss ${losses[1]}, not ${expected}`);
  assert.ok(Math.abs(losses[2] - losses[0]) < 1e-6, 'the order begins again');
  const step = 1e-6;
  let worst = 0;
  for (const { name, shape: sizes, start } of shape.tensors) {
    const isPadded = (i) => name === 'fc1.weight' && i >= INPUTS * HIDDEN;
    for (let i = 0; i < sizes.reduce((a, b) => a * b); i++) {
      const moved = (by) => weights.map((each, at) => (at === start + i ? each + by : each));
      const slope = isPadded(i) ? 0 : (loss(moved(step), shape) - loss(moved(-step), shape)) / (2 * step);
      const difference = Math.abs(gradients[start + i] - slope);
      assert.ok(difference < 1e-5, `${name}[${i}]: ${gradients[start + i]}, not ${slope}`);
      worst = Math.max(worst, difference);
    }
  }
  remark(`${shape.count} gradients, the largest difference ${worst.toExponential(1)}`);
  await close(page);
});
