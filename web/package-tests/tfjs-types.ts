// What TypeScript makes of `lookahead-wgpu/tfjs`, with TensorFlow.js's own types: compiled, and never run.

import * as tf from '@tensorflow/tfjs';
import { accelerate, lookahead } from 'lookahead-wgpu/tfjs';

export async function compiled(model: tf.LayersModel): Promise<number | undefined> {
  const optimizer = await accelerate(tf, tf.train.adam(1e-3), { lookahead: { k: 5 }, guard: true });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const other: tf.Optimizer = await lookahead(tf, { rule: { name: 'lamb', lr: 0.01 } });
  other.minimize(() => tf.scalar(1));
  // @ts-expect-error The rule is the optimizer's.
  await accelerate(tf, tf.train.sgd(1), { rule: { name: 'adam' } });
  // @ts-expect-error The variables are the tensors.
  await lookahead(tf, { rule: { name: 'adam' }, tensors: [] });
  return optimizer.inner?.steps;
}
