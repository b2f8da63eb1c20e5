// The loss at points of a plane in the space of weights, and at weights themselves.

import { WIDTH } from './kernels.js';
import { Network, upload } from './network.js';

/** The images that it is the mean over, at most: the first. */
const IMAGES = 256;

export class Surface {
  constructor(kernels, images) {
    const rows = Math.min(IMAGES, images.count);
    const order = Uint32Array.from({ length: rows }, (_, i) => i);
    Object.assign(this, { kernels, images, rows, order });
  }

  /** A network that keeps the losses of so many weights. */
  #network(steps) {
    return new Network(this.kernels, this.images, { rows: this.rows, order: this.order, steps });
  }

  /** The losses at these weights. */
  async at(all) {
    const { device } = this.kernels;
    const network = this.#network(all.length);
    const values = all.map((weights) => upload(device, weights, GPUBufferUsage.COPY_SRC));
    try {
      const encoder = device.createCommandEncoder();
      for (const value of values) {
        encoder.copyBufferToBuffer(value, 0, network.weights, 0, value.size);
        network.evaluate(encoder);
      }
      return await network.losses(encoder, 0, all.length);
    } finally {
      for (const value of values) value.destroy();
      network.destroy();
    }
  }

  /**
   * The losses on a grid of `count` by `count` points over a square of the plane; `tell` is given each row, from the
   * lowest on.
   */
  async over({ origin, right, up }, { left, bottom, side }, count, tell, signal) {
    const { device } = this.kernels;
    const network = this.#network(count * count);
    const coordinate = (i) => side * i / (count - 1);
    const points = Float32Array.from({ length: 2 * count * count }, (_, i) => {
      const at = Math.floor(i / 2);
      return i % 2 === 0 ? left + coordinate(at % count) : bottom + coordinate(Math.floor(at / count));
    });
    const buffers = [points, joined([origin, right, up])].map((values) => upload(device, values));
    try {
      const resources = [...buffers, network.weights, network.own.results];
      const group = device.createBindGroup({
        layout: this.kernels.place.getBindGroupLayout(0),
        entries: resources.map((buffer, binding) => ({ binding, resource: { buffer } })),
      });
      for (let row = 0; row < count && !signal.aborted; row++) {
        const encoder = device.createCommandEncoder();
        for (let column = 0; column < count; column++) {
          const pass = encoder.beginComputePass();
          pass.setPipeline(this.kernels.place);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(Math.ceil(network.shape.count / 4 / WIDTH));
          pass.end();
          network.evaluate(encoder);
        }
        tell(row, await network.losses(encoder, row * count, count));
      }
    } finally {
      for (const buffer of buffers) buffer.destroy();
      network.destroy();
    }
  }
}

function joined(parts) {
  const all = new Float32Array(parts.length * parts[0].length);
  parts.forEach((part, i) => all.set(part, i * part.length));
  return all;
}
