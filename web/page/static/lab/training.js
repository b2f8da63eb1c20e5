// One run: a network whose weights and gradients an optimizer of the npm package steps where they lie.

import { Optimizer } from '../package/lookahead_wgpu.js';
import { Network, beginning, shape } from './network.js';
import { random, shuffled } from './random.js';

/** Images in an order after which it begins again, at most. */
const LONGEST = 2 ** 20;

export class Training {
  /** A run with these options of the package's, over `steps` batches that are the same for the same seed. */
  static async create(kernels, images, { options, steps, batch, seed }) {
    const rows = Math.min(batch, images.count);
    const next = random(seed);
    const values = beginning(shape(images.inputs), next);
    const turns = Math.min(steps, Math.max(1, Math.floor(LONGEST / rows)));
    const order = shuffled(turns * rows, images.count, next);
    const network = new Network(kernels, images, { rows, order, steps });
    const { device, weights, gradients } = network;
    device.queue.writeBuffer(weights, 0, values);
    const place = (buffer, start) => ({ buffer, offset: 4 * start });
    const tensors = network.shape.tensors.map(({ name, shape, start }) => (
      { name, shape, weights: place(weights, start), gradients: place(gradients, start) }));
    try {
      const optimizer = await Optimizer.create({ device, tensors, ...options });
      return new Training(network, optimizer, steps);
    } catch (error) {
      network.destroy();
      throw error;
    }
  }

  constructor(network, optimizer, steps) {
    Object.assign(this, { network, optimizer, steps, done: 0 });
  }

  /** Records one step. */
  step(encoder) {
    this.network.train(encoder);
    this.optimizer.step(encoder);
    this.done += 1;
  }

  /** Takes its next steps, at most so many; gives their losses, which come in one piece. */
  advance(most) {
    const first = this.done;
    const encoder = this.network.device.createCommandEncoder();
    while (this.done < Math.min(first + most, this.steps)) this.step(encoder);
    return this.network.losses(encoder, first, this.done - first);
  }

  destroy() {
    this.optimizer.destroy();
    this.network.destroy();
  }
}
