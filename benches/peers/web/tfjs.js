// TensorFlow.js: `applyGradients` of its Adam, on its WebGPU backend.

import { ADAM, gradientsOf, weightsOf } from './settings.js';

const { tf } = globalThis;
let made = 0;

export async function adam(shapes) {
  if (!await tf.setBackend('webgpu')) throw new Error('TensorFlow.js opens no WebGPU device');
  await tf.ready();
  const optimizer = tf.train.adam(ADAM.learningRate, ADAM.beta1, ADAM.beta2, ADAM.epsilon);
  const prefix = `peer ${made++}`;
  const variables = weightsOf(shapes).map((values, i) => tf.variable(tf.tensor(values, shapes[i]), true, `${prefix}, ${i}`));
  let gradients;
  const setGradients = (all) => {
    for (const tensor of Object.values(gradients ?? {})) tensor.dispose();
    gradients = Object.fromEntries(all.map((values, i) => [variables[i].name, tf.tensor(values, shapes[i])]));
  };
  setGradients(gradientsOf(shapes));
  return {
    setGradients,
    async step(count) {
      for (let i = 0; i < count; i++) optimizer.applyGradients(gradients);
      // One value of the last variable: commands are carried out in their order, and this also sends those that are
      // still held back.
      const one = tf.tidy(() => tf.slice(variables.at(-1).flatten(), 0, 1));
      await one.data();
      one.dispose();
    },
    weights: () => Promise.all(variables.map((variable) => variable.data())),
  };
}
