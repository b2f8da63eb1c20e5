// The network on a device of the page's: its kernels, its buffers, and the loss of each step.

import { CLASSES, WIDTH, placing, training } from './kernels.js';

/** Hidden units, a multiple of four. */
export const HIDDEN = 32;

/** What is compiled once for a device. */
export class Kernels {
  constructor(device) {
    this.device = device;
    const types = ['uniform', ...Array(3).fill('read-only-storage'), ...Array(5).fill('storage')];
    const entries = types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
    this.layout = device.createBindGroupLayout({ entries });
    const layout = device.createPipelineLayout({ bindGroupLayouts: [this.layout] });
    const module = device.createShaderModule({ code: training });
    for (const entryPoint of ['forward', 'judge', 'backward', 'record']) {
      this[entryPoint] = device.createComputePipeline({ layout, compute: { module, entryPoint } });
    }
    const compute = { module: device.createShaderModule({ code: placing }) };
    this.place = device.createComputePipeline({ layout: 'auto', compute });
  }
}

const byFours = (count) => Math.ceil(count / 4) * 4;

/** The tensors of a network, where they begin in one buffer, and how many values that has. */
export function shape(inputs, hidden = HIDDEN) {
  let count = 0;
  const tensor = (name, ...shape) => {
    const made = { name, shape, start: count };
    count += byFours(shape.reduce((a, b) => a * b));
    return made;
  };
  const tensors = [
    tensor('fc1.weight', inputs, hidden), tensor('fc1.bias', hidden),
    tensor('fc2.weight', CLASSES, hidden), tensor('fc2.bias', CLASSES),
  ];
  return { inputs, hidden, tensors, count };
}

/** Weights to begin with: uniform with the variance 2/inputs (He et al. 2015), biases zero. */
export function beginning({ inputs, hidden, tensors, count }, next) {
  const values = new Float32Array(count);
  for (const [{ shape, start }, into] of [[tensors[0], inputs], [tensors[2], hidden]]) {
    const bound = Math.sqrt(6 / into);
    for (let i = 0; i < shape[0] * shape[1]; i++) values[start + i] = bound * (2 * next() - 1);
  }
  return values;
}

/** A buffer with these values. */
export function upload(device, values, usage = GPUBufferUsage.STORAGE) {
  const buffer = device.createBuffer({ size: values.byteLength, usage: usage | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(buffer, 0, values);
  return buffer;
}

/** Images on the GPU, for every network of a job. */
export class Images {
  constructor(device, { pixels, labels, inputs, scale }) {
    this.count = labels.length;
    // Pixels that an image lacks of a multiple of four are black.
    this.inputs = byFours(inputs);
    const values = new Float32Array(this.count * this.inputs);
    pixels.forEach((pixel, i) => { values[Math.floor(i / inputs) * this.inputs + i % inputs] = pixel * scale; });
    this.pixels = upload(device, values);
    this.labels = upload(device, Uint32Array.from(labels));
  }

  destroy() {
    for (const buffer of [this.pixels, this.labels]) buffer.destroy();
  }
}

export class Network {
  /** A network that sees `rows` images at a step, in this order, and keeps the losses of `steps`. */
  constructor(kernels, images, { rows, order, steps, hidden = HIDDEN }) {
    const { device } = kernels;
    Object.assign(this, { kernels, device, rows, shape: shape(images.inputs, hidden) });
    const { count, tensors } = this.shape;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const room = (values) => device.createBuffer({ size: 4 * values, usage });
    const sizes = [images.inputs / 4, hidden / 4, rows, ...tensors.slice(1).map(({ start }) => start / 4)];
    this.own = {
      sizes: upload(device, Uint32Array.from(sizes), GPUBufferUsage.UNIFORM),
      order: upload(device, order),
      weights: room(count),
      gradients: room(count),
      units: room(rows * hidden * 2),
      rows: room(rows * (CLASSES + 2)),
      results: room(1 + steps),
    };
    const { sizes: first, ...others } = this.own;
    const buffers = [first, images.pixels, images.labels, ...Object.values(others)];
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    this.group = device.createBindGroup({ layout: kernels.layout, entries });
  }

  get weights() { return this.own.weights; }
  get gradients() { return this.own.gradients; }

  /** Records a step's loss and gradients. */
  train(encoder) {
    const { inputs, hidden } = this.shape;
    const backward = (inputs / 4 + CLASSES + 1) * hidden / 4;
    this.#record(encoder, [...this.#forward(), ['backward', backward], ['record', 1]]);
  }

  /** Records the loss alone. */
  evaluate(encoder) {
    this.#record(encoder, [...this.#forward(), ['record', 1]]);
  }

  #forward() {
    return [['forward', this.rows * this.shape.hidden / 4], ['judge', this.rows]];
  }

  #record(encoder, calls) {
    const pass = encoder.beginComputePass();
    pass.setBindGroup(0, this.group);
    for (const [name, count] of calls) {
      pass.setPipeline(this.kernels[name]);
      pass.dispatchWorkgroups(Math.ceil(count / WIDTH));
    }
    pass.end();
  }

  /** Submits what was recorded; gives the losses of `count` steps from `first` on. */
  losses(encoder, first, count) {
    return this.read(encoder, this.own.results, 1 + first, count);
  }

  /** Begins at the first step again. */
  restart() {
    this.device.queue.writeBuffer(this.own.results, 0, new Uint32Array(1));
  }

  /** Submits what was recorded; gives `count` values of a buffer, as they are then. */
  async read(encoder, buffer, first, count) {
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const copy = this.device.createBuffer({ size: 4 * count, usage });
    encoder.copyBufferToBuffer(buffer, 4 * first, copy, 0, 4 * count);
    this.device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(copy.getMappedRange().slice(0));
    copy.destroy();
    return values;
  }

  destroy() {
    for (const buffer of Object.values(this.own)) buffer.destroy();
  }
}
