// What TypeScript makes of `lookahead-wgpu/jax`, with jax-js's own types: compiled, and never run.

import * as jax from '@jax-js/jax';
import { lookahead } from 'lookahead-wgpu/jax';

export async function compiled(params: jax.Array[], gradients: jax.Array[]): Promise<number | undefined> {
  const transformation = await lookahead(jax, { rule: { name: 'adam' }, lookahead: {} });
  const state = transformation.init(params);
  const [updates]: [jax.Array[], unknown] = transformation.update(gradients, state, params);
  const [next]: [jax.Array[], unknown] = transformation.apply(updates, state, params);
  // @ts-expect-error The parameters are the tensors.
  await lookahead(jax, { rule: { name: 'adam' }, tensors: [] });
  return next.length + (state.inner?.steps ?? 0);
}
