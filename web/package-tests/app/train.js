import { Optimizer } from 'lookahead-wgpu';

/** One step of SGD from 1 with the gradient 0.5: 0.95. */
export async function train() {
  const optimizer = await Optimizer.create({ rule: { name: 'sgd', lr: 0.1 }, tensors: [{ name: 'w', shape: [1] }] });
  optimizer.setWeights('w', [1]);
  optimizer.setGradient('w', [0.5]);
  optimizer.step();
  const [w] = await optimizer.weights('w');
  optimizer.destroy();
  return w;
}
