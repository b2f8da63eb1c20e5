// Everything that is checked and timed in the page.

import * as jax from './jax.js';
import * as ours from './ours.js';
import * as tfjs from './tfjs.js';
import { CHECKED, K, TIMED, lengthOf, noise } from './settings.js';

const OURS = 'lookahead-wgpu';
const PEERS = [
  { peer: OURS, optimizer: 'Adam', create: ours.adam },
  { peer: 'TensorFlow.js 4.22.0', optimizer: 'Adam', create: tfjs.adam },
  { peer: 'jax-js 0.1.25, jit', optimizer: 'Adam', create: jax.adam },
  { peer: OURS, optimizer: 'Lookahead(Adam)', create: ours.lookahead },
];

/** The largest error that is rounding: relative to values above one. */
const TOLERANCE = 1e-5;
const STEPS = 11;
/** Least milliseconds of a sample: waiting for its end is spread over its steps. */
const SAMPLE = 50;
const LEAST_SAMPLES = 3;

/** Says what is going on: SwiftShader takes its time. */
const say = (text) => console.info(text);

/** The weights after some steps, each with another gradient: with the same one in each, Adam's moments would cancel. */
async function checked({ create }) {
  const peer = await create(CHECKED);
  for (let step = 0; step < STEPS; step++) {
    // Of many magnitudes, down to where epsilon decides.
    const gradient = (shape, i) =>
      noise(lengthOf(shape), 1000 + 10 * step + i).map((value, place) => value * 10 ** -(place % 9));
    peer.setGradients(CHECKED.map(gradient));
    await peer.step(1);
  }
  return (await peer.weights()).flatMap((values) => [...values]);
}

/** Fails where a peer computes something else than this library. */
async function check() {
  let own;
  for (const one of PEERS) {
    const found = await checked(one);
    if (one.peer === OURS) {
      own = found;
      continue;
    }
    const error = Math.max(...own.map((value, i) => Math.abs(found[i] - value) / Math.max(1, Math.abs(value))));
    if (!(error <= TOLERANCE) || found.length !== own.length) {
      throw new Error(`${one.peer}, ${one.optimizer} computes something else than this library: after ${STEPS} steps `
        + `an error of ${error} (${TOLERANCE} is allowed), so that its time says nothing`);
    }
    say(`${one.peer}, ${one.optimizer}: this library's weights after ${STEPS} steps, but for ${error.toExponential(1)}`);
  }
}

/** Seconds a step of every peer, samples in turn: what disturbs the machine for longer than a sample disturbs all. */
async function measure(seconds) {
  const running = [];
  for (const { peer: name, optimizer, create } of PEERS) {
    say(`${name}, ${optimizer}: warming up`);
    const peer = await create(TIMED);
    // Shaders are compiled in the first cycle.
    await peer.step(K);
    const cycle = await timed(peer, 1);
    running.push({ peer, cycles: Math.min(200, Math.max(1, Math.ceil(SAMPLE / cycle))), samples: [] });
  }
  const begin = performance.now();
  while (running[0].samples.length < LEAST_SAMPLES || performance.now() - begin < 1e3 * seconds * running.length) {
    for (const { peer, cycles, samples } of running) samples.push(await timed(peer, cycles) / (1e3 * cycles * K));
    say(`${running[0].samples.length} samples of each`);
  }
  return running.map(({ samples }, i) => ({ peer: PEERS[i].peer, optimizer: PEERS[i].optimizer, samples }));
}

async function timed(peer, cycles) {
  const begin = performance.now();
  await peer.step(cycles * K);
  return performance.now() - begin;
}

/** The adapter in words. */
async function adapter() {
  const { vendor, architecture, device, description } = (await navigator.gpu.requestAdapter()).info;
  return [vendor, architecture, device, description].filter(Boolean).join(' ');
}

export const peers = { adapter, check, measure };
