// jax-js: Adam by the formulas of optax, in one function that `jit` compiles.

import { blockUntilReady, defaultDevice, getWebGPUDevice, init, jit, numpy as np } from '@jax-js/jax';
import { ADAM, K, gradientsOf, weightsOf } from './settings.js';

const { learningRate, beta1, beta2, epsilon } = ADAM;

/** One tensor's step. Every argument is used up, as jax-js has it. */
function update(weights, first, second, gradient, scale1, scale2) {
  const m = first.mul(beta1).add(gradient.ref.mul(1 - beta1));
  const v = second.mul(beta2).add(np.square(gradient).mul(1 - beta2));
  const step = m.ref.mul(scale1).div(np.sqrt(v.ref.mul(scale2)).add(epsilon)).mul(learningRate);
  return [weights.sub(step), m, v];
}

export async function adam(shapes) {
  if (!(await init('webgpu')).includes('webgpu')) throw new Error('jax-js opens no WebGPU device');
  defaultDevice('webgpu');
  const step = jit((states, gradients, scale1, scale2) => {
    const next = states.map(([weights, first, second], i) =>
      update(weights, first, second, gradients[i], scale1.ref, scale2.ref));
    scale1.dispose();
    scale2.dispose();
    return next;
  });
  const array = (values, i) => np.array(values).reshape(shapes[i]);
  let states = weightsOf(shapes).map((values, i) => [array(values, i), np.zeros(shapes[i]), np.zeros(shapes[i])]);
  let gradients = [];
  const setGradients = (all) => {
    for (const gradient of gradients) gradient.dispose();
    gradients = all.map(array);
  };
  setGradients(gradientsOf(shapes));
  await blockUntilReady([states, gradients]);
  let steps = 0;
  return {
    setGradients,
    async step(count) {
      for (let i = 0; i < count; i++) {
        steps += 1;
        const scales = [beta1, beta2].map((beta) => np.array(1 / (1 - beta ** steps)));
        states = step(states, gradients.map((gradient) => gradient.ref), ...scales);
        // What is not asked for is not sent to the device; with one array goes all that its function computes. Once a cycle,
        // so that the wait is spread over steps and memory stays small.
        if ((i + 1) % K === 0 || i + 1 === count) await states[0][0].blockUntilReady();
      }
      await getWebGPUDevice().queue.onSubmittedWorkDone();
    },
    weights: () => Promise.all(states.map(([weights]) => weights.ref.data())),
  };
}
