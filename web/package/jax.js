// For jax-js: a gradient transformation as optax has them, on jax-js's own device.

import { checkOptions, refuse } from './fit.js';
import init, { Optimizer } from './lookahead_wgpu.js';

/** Of WebGPU: STORAGE, COPY_SRC and COPY_DST. */
const USAGE = 128 | 4 | 8;

/**
 * `{ init, update }`, with the options of `Optimizer.create` but `device` and `tensors`, which are those of the parameters:
 * `state = init(params)`, and `[updates, state] = update(gradients, state, params)`, which `params + updates` follows. As
 * everywhere in jax-js arguments are used up, and a state is one run's: it changes in place. `[params, state] = apply(gradients, state,
 * params)` gives the parameters themselves, without jax-js's difference and sum of them.
 */
export async function lookahead(jax, options) {
  checkOptions(options, 'jax-js');
  await init();
  return {
    init: (params) => new State(jax, options, params),
    update: (gradients, state, params) => [state.update(gradients, params), state],
    apply: (gradients, state, params) => [state.apply(gradients, params), state],
  };
}

class State {
  #jax;
  #options;
  #device;
  #shapes;
  /** The weights. jax-js makes no array of a buffer that it is given, so that its own cannot be stepped in place. */
  #weights;
  /** Where the gradients were at the last step. */
  #places = [];
  #inner;

  constructor(jax, options, params) {
    this.#jax = jax;
    this.#options = options;
    this.#device = jax.getWebGPUDevice();
    const leaves = leavesOf(jax, params, 'the parameters');
    this.#shapes = leaves.map(({ shape }) => shape);
    const encoder = this.#device.createCommandEncoder();
    this.#weights = leaves.map((leaf) => {
      const size = 4 * leaf.size;
      const buffer = this.#device.createBuffer({ label: 'lookahead weights of jax-js', size, usage: USAGE });
      // What is read is submitted before.
      encoder.copyBufferToBuffer(leaf.gpuBufferSync(), 0, buffer, 0, size);
      return buffer;
    });
    this.#device.queue.submit([encoder.finish()]);
  }

  /** This package's optimizer: settings, slow weights, counters; the parameters are `0`, `1`, ... there. Nothing before the first step. */
  get inner() {
    return this.#inner;
  }

  update(gradients, params) {
    const { tree } = this.#jax;
    const weights = this.#parameters(params);
    const [fresh, structure] = this.#step(gradients);
    return tree.unflatten(structure, fresh.map((array, i) => array.sub(weights[i])));
  }

  apply(gradients, params) {
    const weights = this.#parameters(params);
    const [fresh, structure] = this.#step(gradients);
    for (const each of weights) each.dispose();
    return this.#jax.tree.unflatten(structure, fresh);
  }

  #parameters(params) {
    const leaves = leavesOf(this.#jax, params, 'the parameters');
    this.#check(leaves, 'parameters');
    return leaves;
  }

  /** Takes a step; arrays of the weights, and the tree that they are in. */
  #step(gradients) {
    const { numpy, tree } = this.#jax;
    const [, structure] = tree.flatten(gradients);
    const given = leavesOf(this.#jax, gradients, 'the gradients');
    this.#check(given, 'gradients');
    const buffers = given.map((gradient) => gradient.ref.gpuBufferSync());
    const fresh = this.#shapes.map((shape) => numpy.zeros(shape));
    const targets = fresh.map((array) => array.ref.gpuBufferSync());
    const copies = [];
    try {
      const encoder = this.#device.createCommandEncoder();
      const places = buffers.map((buffer, i) => this.#place(buffer, buffers.indexOf(buffer) < i, encoder, copies));
      this.#borrow(places);
      this.#inner.step(encoder);
      this.#weights.forEach((buffer, i) => encoder.copyBufferToBuffer(buffer, 0, targets[i], 0, buffer.size));
      this.#device.queue.submit([encoder.finish()]);
      return [fresh, structure];
    } finally {
      // The device keeps what the step uses.
      for (const gradient of given) gradient.dispose();
      for (const copy of copies) copy.destroy();
    }
  }

  /** Where a gradient lies; one that is another tensor's, too, is copied. */
  #place(buffer, isTaken, encoder, copies) {
    if (!isTaken) return buffer;
    const copy = this.#device.createBuffer({ label: 'lookahead gradient', size: buffer.size, usage: USAGE });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    copies.push(copy);
    return copy;
  }

  #borrow(places) {
    const tensors = places.map((buffer, i) => ({ name: `${i}`, gradients: { buffer } }));
    if (this.#inner) {
      const moved = tensors.filter((_, i) => places[i] !== this.#places[i]);
      if (moved.length > 0) this.#inner.borrow(moved);
    } else {
      const shaped = tensors.map((tensor, i) => ({ ...tensor, shape: this.#shapes[i], weights: { buffer: this.#weights[i] } }));
      this.#inner = Optimizer.createSync({ ...this.#options, device: this.#device, tensors: shaped });
    }
    this.#places = places;
  }

  #check(arrays, what) {
    const words = (shapes) => shapes.map((shape) => `[${shape}]`).join(', ');
    const found = words(arrays.map(({ shape }) => shape));
    if (found !== words(this.#shapes)) refuse(`the ${what} have the shapes ${found}, and \`init\` had ${words(this.#shapes)}`);
  }

  /** Gives all memory back at once. */
  dispose() {
    this.#inner?.destroy();
    this.#inner?.free();
    this.#inner = undefined;
    for (const buffer of this.#weights) buffer.destroy();
  }
}

/** The arrays of a tree, of which this can take those of floats on the GPU. */
function leavesOf({ tree }, given, what) {
  const leaves = tree.leaves(given);
  const other = leaves.find(({ dtype, device }) => dtype !== 'float32' || device !== 'webgpu');
  if (other) refuse(`${what} must be float32 on the device \`webgpu\`, and one is ${other.dtype} on \`${other.device}\``);
  return leaves;
}
