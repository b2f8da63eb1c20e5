// The paths of fast and slow weights over some cycles, and the loss on a plane around them: the paper's figure 1.

import { Images } from './network.js';
import { onPlane, square, through } from './plane.js';
import { Surface } from './surface.js';
import { Training } from './training.js';

/** Points of the map in a row. */
const GRID = 25;
/** Fast weights that are kept of a cycle, at most, besides the last ones. */
const KEPT = 16;
/** Steps of the warm-up that are submitted at once. */
const STRIDE = 20;
/** Steps of a cycle that does not end by itself: it is told to, so that its last fast weights are seen. */
const NEVER = 1_000_000;

/**
 * Trains up to the step `from`, then `cycles` cycles whose weights are kept. The paths are told as they grow, on the plane
 * that they span so far; then the map, row by row.
 */
export async function paths(kernels, { options, images: given, from, cycles, batch, seed }, tell, signal) {
  const { k } = options.lookahead;
  const images = new Images(kernels.device, given);
  const steps = (Math.ceil(from / k) + cycles) * k;
  const own = { ...options, lookahead: { ...options.lookahead, k: NEVER } };
  let training;
  try {
    training = await Training.create(kernels, images, { options: own, steps, batch, seed });
    await warmUp(training, steps - cycles * k, k, tell, signal);
    const start = await weights(training);
    const [fast, slow] = [[[start]], [start]];
    let plane = null;
    for (let cycle = 0; cycle < cycles && !signal.aborted; cycle++) {
      const [kept, after] = await one(training, k);
      fast[cycle].push(...kept);
      slow.push(after);
      // Of one cycle the paper's: through the first, middle and last fast weights of the inner loop.
      const all = fast.flat();
      plane = through(all[0], all[Math.floor(all.length / 2)], all.at(-1), [...all, ...slow]);
      if (plane) {
        const on = (all) => all.map((each) => onPlane(plane, each));
        tell({ type: 'walked', fast: fast.map(on), slow: on(slow), step: training.done });
      }
      fast.push([after]);
    }
    if (signal.aborted) return;
    await map({ kernels, images, plane, fast: fast.slice(0, cycles), slow }, tell, signal);
  } finally {
    training?.destroy();
    images.destroy();
  }
}

/** Trains whole cycles up to a step. */
async function warmUp(training, until, k, tell, signal) {
  const { network } = training;
  while (training.done < until && !signal.aborted) {
    const encoder = network.device.createCommandEncoder();
    const first = training.done;
    do {
      training.step(encoder);
      if (training.done % k === 0) training.optimizer.syncNow(encoder);
    } while (training.done < until && training.done - first < STRIDE);
    await network.losses(encoder, first, training.done - first);
    tell({ type: 'warmed', step: training.done, until });
  }
}

/** The weights as they are. */
function weights({ network }) {
  return network.read(network.device.createCommandEncoder(), network.weights, 0, network.shape.count);
}

/** One cycle: the fast weights after its steps, and the slow weights after its end. */
async function one(training, k) {
  const kept = [];
  for (let step = 1; step <= k; step++) {
    const encoder = training.network.device.createCommandEncoder();
    training.step(encoder);
    const { network } = training;
    const isKept = step === k || step % Math.ceil(k / KEPT) === 0;
    if (isKept) kept.push(await network.read(encoder, network.weights, 0, network.shape.count));
    else network.device.queue.submit([encoder.finish()]);
  }
  training.optimizer.syncNow();
  return [kept, await weights(training)];
}

/** Tells the losses at the ends of the paths and over the plane. */
async function map({ kernels, images, plane, fast, slow }, tell, signal) {
  if (!plane) return tell({ type: 'flat' });
  const surface = new Surface(kernels, images);
  const [start, fastEnd, slowEnd] = await surface.at([slow[0], fast.at(-1).at(-1), slow.at(-1)]);
  const frame = square([...fast.flat(), ...slow].map((each) => onPlane(plane, each)));
  tell({ type: 'framed', frame, grid: GRID, images: surface.rows, losses: { start, fastEnd, slowEnd } });
  await surface.over(plane, frame, GRID, (row, losses) => tell({ type: 'row', row, losses }), signal);
}
