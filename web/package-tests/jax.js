// Tests of `lookahead-wgpu/jax`, in a page with jax-js.

import * as jax from '@jax-js/jax';
import { lookahead } from '../dist/package/jax.js';
import { assert, near, thrown } from './check.js';
import { adam, descend } from './reference.js';

const { numpy: np } = jax;
const START = [3, -2, 1, 0.5, -1.5, 2.5, 4];
const SCALE = [1, 2, 0.5, 3, 1, 0.25, 2];

/** The parameters, in a tree. */
const parameters = () => ({ w: np.array(START.slice(0, 6)).reshape([2, 3]), b: np.array(START.slice(6)) });

/** sum(scale * p^2) / 2 of all parameters. */
const loss = ({ w, b }) => np.square(w).mul(np.array(SCALE.slice(0, 6)).reshape([2, 3])).sum()
  .add(np.square(b).mul(np.array(SCALE.slice(6))).sum()).mul(0.5);

const valuesOf = async ({ w, b }) => [...await w.ref.data(), ...await b.ref.data()];

const tests = {
  async 'a transformation that jax-js\'s users compose is the reference in doubles'() {
    const transformation = await lookahead(jax, { rule: { name: 'adam', lr: 0.1 }, lookahead: { k: 5, alpha: 0.5 } });
    const gradient = jax.grad(loss);
    let params = parameters();
    let state = transformation.init(jax.tree.ref(params));
    for (let step = 0; step < 50; step++) {
      const gradients = gradient(jax.tree.ref(params));
      let updates;
      [updates, state] = transformation.update(gradients, state, jax.tree.ref(params));
      params = { w: params.w.add(updates.w), b: params.b.add(updates.b) };
    }
    const { weights, slow } = descend(adam({ lr: 0.1 }), START, (p) => p.map((value, i) => SCALE[i] * value), 50, { k: 5, alpha: 0.5 });
    const error = near(await valuesOf(params), weights, 'parameters');
    const found = await Promise.all(['0', '1'].map((name) => state.inner.slowWeights(name)));
    // A tree's leaves are in the order of their names.
    const named = [...found.find(({ length }) => length === 6), ...found.find(({ length }) => length === 1)];
    near(named, slow, 'slow weights');
    assert(state.inner.steps === 50, `${state.inner.steps} steps`);
    state.dispose();
    return `largest difference ${error.toExponential(1)}`;
  },

  async 'gradients that are one array, and what cannot be, are told apart'() {
    const transformation = await lookahead(jax, { rule: { name: 'sgd', lr: 0.5 } });
    const params = [np.array([1, 2]), np.array([3, 4])];
    const state = transformation.init(jax.tree.ref(params));
    const gradient = np.array([1, -1]);
    const [updates] = transformation.update([gradient.ref, gradient], state, jax.tree.ref(params));
    near([...await updates[0].data(), ...await updates[1].data()], [-0.5, 0.5, -0.5, 0.5], 'updates');
    const [applied] = transformation.apply([np.array([2, 0]), np.array([0, 2])], state, jax.tree.ref(params));
    near([...await applied[0].data(), ...await applied[1].data()], [-0.5, 2.5, 2.5, 3.5], 'the parameters themselves');
    await thrown(() => transformation.update([np.array([1, 2, 3]), np.array([1, 2])], state, params), 'Argument', /the gradients have the shapes \[3\], \[2\], and `init` had \[2\], \[2\]/);
    await thrown(() => transformation.update([np.array([1, 2]).astype(np.int32), np.array([1, 2])], state, params), 'Argument', /the gradients must be float32/);
    await thrown(() => lookahead(jax, { rule: { name: 'adam' }, halfGradients: 'f16' }), 'Argument', /`halfGradients` is no option here: its gradients are f32/);
    await thrown(() => transformation.init([np.array([1, 2]).astype(np.int32)]), 'Argument', /must be float32 on the device `webgpu`, and one is int32/);
    state.dispose();
  },

  async 'what its copies cost'() {
    const shapes = Array.from({ length: 64 }, () => [256, 256]);
    const transformation = await lookahead(jax, { rule: { name: 'adam' }, lookahead: {} });
    const random = () => shapes.map((shape) => np.array(Float32Array.from({ length: 65536 }, Math.random)).reshape(shape));
    let params = random();
    const gradients = random();
    const state = transformation.init(jax.tree.ref(params));
    const timed = async (step) => {
      const times = [];
      for (let turn = 0; turn < 9; turn++) {
        const begin = performance.now();
        params = step();
        await jax.blockUntilReady(params);
        await jax.getWebGPUDevice().queue.onSubmittedWorkDone();
        times.push(performance.now() - begin);
      }
      return times.slice(2);
    };
    const updated = await timed(() => {
      const [updates] = transformation.update(jax.tree.ref(gradients), state, jax.tree.ref(params));
      return params.map((each, i) => each.add(updates[i]));
    });
    const applied = await timed(() => transformation.apply(jax.tree.ref(gradients), state, params)[0]);
    const only = [];
    for (let step = 0; step < 5; step++) {
      const begin = performance.now();
      state.inner.step();
      await jax.getWebGPUDevice().queue.onSubmittedWorkDone();
      only.push(performance.now() - begin);
    }
    state.dispose();
    const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
    return `64 tensors of 256x256: ${median(updated).toFixed(0)} ms by \`update\` and a sum, ${median(applied).toFixed(0)} ms by \`apply\`, `
      + `of which the step is ${median(only).toFixed(0)} ms`;
  },
};

export const names = Object.keys(tests);

export async function run(name) {
  if (!(await jax.init('webgpu')).includes('webgpu')) throw new Error('jax-js opens no WebGPU device');
  jax.defaultDevice('webgpu');
  return (await tests[name]()) ?? '';
}
