// The npm package of this repository.

import { Optimizer } from 'lookahead-wgpu';
import { ADAM, ALPHA, K, gradientsOf, weightsOf } from './settings.js';

async function create(shapes, lookahead) {
  const name = (i) => `tensor ${i}`;
  const optimizer = await Optimizer.create({
    rule: { name: 'adam', lr: ADAM.learningRate, betas: [ADAM.beta1, ADAM.beta2], eps: ADAM.epsilon },
    tensors: shapes.map((shape, i) => ({ name: name(i), shape })),
    lookahead,
  });
  weightsOf(shapes).forEach((values, i) => optimizer.setWeights(name(i), values));
  const setGradients = (all) => all.forEach((values, i) => optimizer.setGradient(name(i), values));
  setGradients(gradientsOf(shapes));
  return {
    setGradients,
    async step(count) {
      for (let i = 0; i < count; i++) optimizer.step();
      await optimizer.device.queue.onSubmittedWorkDone();
    },
    weights: () => Promise.all(shapes.map((_, i) => optimizer.weights(name(i)))),
  };
}

export const adam = (shapes) => create(shapes, undefined);
export const lookahead = (shapes) => create(shapes, { k: K, alpha: ALPHA });
