// Tests of `lookahead-wgpu/tfjs`, in a page with TensorFlow.js.

import { accelerate, lookahead } from '../dist/package/tfjs.js';
import { assert, near, thrown } from './check.js';
import { adam, descend } from './reference.js';

const { tf } = globalThis;

/** 8x8 digits: as many, as images and classes. */
async function digits(count) {
  const { body } = await fetch('../../examples/train/data/digits.csv.gz');
  const text = await new Response(body.pipeThrough(new DecompressionStream('gzip'))).text();
  const rows = text.trim().split('\n').slice(0, count).map((line) => line.split(',').map(Number));
  const images = tf.tensor4d(rows.flatMap((row) => row.slice(0, 64).map((value) => value / 16)), [count, 8, 8, 1]);
  return { images, labels: tf.oneHot(tf.tensor1d(rows.map((row) => row[64]), 'int32'), 10).toFloat() };
}

/** A small convolutional network, the same each time. */
function model() {
  const kernelInitializer = (seed) => tf.initializers.glorotUniform({ seed });
  return tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 8, kernelSize: 3, activation: 'relu', kernelInitializer: kernelInitializer(1) }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 10, activation: 'softmax', kernelInitializer: kernelInitializer(2) }),
    ],
  });
}

const valuesOf = async (tensors) => (await Promise.all(tensors.map(async (tensor) => [...await tensor.data()]))).flat();

/** The weights after some steps of `fit`, and the seconds that it took. */
async function fitted(optimizer, { images, labels }, epochs = 5) {
  const network = model();
  network.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  // The first epoch compiles the kernels.
  const begin = performance.now();
  const { history } = await network.fit(images, labels, { batchSize: 32, epochs, shuffle: false, verbose: 0 });
  const weights = await valuesOf(network.getWeights());
  return { weights, network, accuracy: history.acc.at(-1), seconds: (performance.now() - begin) / 1000 };
}

const tests = {
  async '`model.fit` comes to the weights of TensorFlow.js\'s own Adam'() {
    const data = await digits(320);
    const theirs = await fitted(tf.train.adam(0.01), data);
    const ours = await fitted(await accelerate(tf, tf.train.adam(0.01)), data);
    assert(theirs.accuracy > 0.8, `theirs learns: ${theirs.accuracy}`);
    return `largest difference ${near(ours.weights, theirs.weights, 'weights').toExponential(1)} after 50 steps, accuracy ${ours.accuracy}`;
  },

  async 'Lookahead in it is the reference in doubles, from the same gradients'() {
    const data = await digits(128);
    const network = model();
    const optimizer = await lookahead(tf, { rule: { name: 'adam', lr: 0.01 }, lookahead: { k: 5, alpha: 0.5 } });
    const start = await valuesOf(network.getWeights());
    const all = [];
    for (let step = 0; step < 50; step++) {
      const { value, grads } = tf.variableGrads(() => tf.losses.softmaxCrossEntropy(data.labels, network.predict(data.images)));
      all.push(await valuesOf(network.trainableWeights.map(({ val }) => grads[val.name])));
      optimizer.applyGradients(grads);
      tf.dispose([value, grads]);
    }
    let at = 0;
    const expected = descend(adam({ lr: 0.01 }), start, () => all[at++], 50, { k: 5, alpha: 0.5 });
    const error = near(await valuesOf(network.getWeights()), expected.weights, 'weights');
    const slow = await Promise.all(network.trainableWeights.map((_, i) => optimizer.inner.slowWeights(`${i}`)));
    near(slow.flatMap((values) => [...values]), expected.slow, 'slow weights');
    assert(optimizer.iterations === 50 && optimizer.inner.steps === 50, `${optimizer.iterations} iterations`);
    optimizer.dispose();
    return `largest difference ${error.toExponential(1)}`;
  },

  async '`minimize` keeps tensors that others hold, and sees weights that are set'() {
    const weights = tf.variable(tf.tensor1d([3, -2, 1]));
    const other = tf.variable(tf.scalar(5));
    const optimizer = await accelerate(tf, tf.train.sgd(0.1), { lookahead: { k: 2 } });
    // Both gradients of a sum are one tensor.
    const loss = () => tf.add(tf.sum(weights), tf.sum(other).mul(1));
    const begin = tf.memory().numTensors;
    const held = weights.clone();
    optimizer.minimize(loss);
    near(await weights.data(), [2.9, -2.1, 0.9], 'the variable');
    near(await other.data(), [4.9], 'the other one');
    near(await held.data(), [3, -2, 1], 'what was held');
    held.dispose();
    weights.assign(tf.tensor1d([10, 10, 10]));
    optimizer.minimize(loss);
    optimizer.minimize(loss);
    // A cycle of two from the weights that were set.
    near(await weights.data(), [9.9, 9.9, 9.9], 'from what was set');
    const cost = optimizer.minimize(loss, true);
    assert(Math.abs((await cost.data())[0] - (29.7 + (await other.data())[0] + 0.1)) < 1e-3, 'the loss comes back');
    cost.dispose();
    assert(tf.memory().numTensors <= begin + 1, `${tf.memory().numTensors - begin} tensors are left`);
    const third = tf.variable(tf.scalar(1));
    await thrown(() => optimizer.minimize(() => tf.add(loss(), third.asScalar())), 'Argument', /has a gradient at this step, and had none at the first/);
    await thrown(() => optimizer.minimize(() => tf.sum(weights), false, [weights]), 'Argument', /has no gradient at this step/);
    near(await weights.data(), [9.8, 9.8, 9.8], 'what was refused has changed nothing');
    // A read that ends after the next step does not stand for it.
    const early = weights.data();
    optimizer.minimize(loss);
    near(await early, [9.8, 9.8, 9.8], 'an early read');
    const now = await weights.data();
    assert(now[0] < 9.8, `${now}`);
    // With the slow weights in the variables' places.
    const [fast, slow] = [await weights.data(), await optimizer.inner.slowWeights('0')];
    near(await optimizer.withSlow(() => weights.mul(2).data()), [...slow].map((value) => 2 * value), 'the slow weights');
    near(await weights.data(), [...fast], 'and back');
    optimizer.dispose();
    // Without Lookahead, weights may be set as well; and where slow weights are kept, they pull back.
    const alone = await accelerate(tf, tf.train.sgd(0.1));
    const kept = await accelerate(tf, tf.train.sgd(0), { lookahead: { k: 2 }, onAssign: 'keep' });
    for (const [each, expected] of [[alone, [0.8, 0.8, 0.8]], [kept, [0.5, 0.5, 0.5]]]) {
      weights.assign(tf.tensor1d([0, 0, 0]));
      each.minimize(() => tf.sum(weights), false, [weights]);
      weights.assign(tf.tensor1d([1, 1, 1]));
      each.minimize(() => tf.sum(weights), false, [weights]);
      if (each === alone) each.minimize(() => tf.sum(weights), false, [weights]);
      near(await weights.data(), expected, 'after weights were set');
      each.dispose();
    }
  },

  async 'its state goes through `getWeights` and `setWeights` bit for bit'() {
    const data = await digits(64);
    const make = async () => {
      const optimizer = await accelerate(tf, tf.train.momentum(0.05, 0.9), { lookahead: { k: 3, policy: 'interpolate' } });
      const network = model();
      const step = () => tf.dispose(optimizer.minimize(() => tf.losses.softmaxCrossEntropy(data.labels, network.predict(data.images))));
      return { optimizer, network, step };
    };
    const [first, second] = [await make(), await make()];
    for (let step = 0; step < 4; step++) first.step();
    const state = await first.optimizer.getWeights();
    assert(state[0].name === 'iter', state[0].name);
    await second.optimizer.setWeights(state);
    // A model's weights come as ever.
    second.network.setWeights(first.network.getWeights());
    for (const each of [first, second]) {
      for (let step = 0; step < 5; step++) each.step();
    }
    const [expected, found] = await Promise.all([first, second].map(({ network }) => valuesOf(network.getWeights())));
    assert(`${found}` === `${expected}`, 'it goes on');
    assert(second.optimizer.iterations === 9, `${second.optimizer.iterations}`);
    // At work, too, and with other weights, which stay.
    const best = { model: first.network.getWeights().map((each) => each.clone()), state: await first.optimizer.getWeights() };
    for (let step = 0; step < 4; step++) first.step();
    const gone = await valuesOf(first.network.getWeights());
    await first.optimizer.setWeights(best.state);
    assert(`${await valuesOf(first.network.getWeights())}` === `${gone}`, 'the variables keep their values');
    first.network.setWeights(best.model);
    await first.optimizer.setWeights(best.state);
    for (let step = 0; step < 4; step++) first.step();
    assert(`${await valuesOf(first.network.getWeights())}` === `${gone}`, 'and it goes on from what was kept');
    assert(second.optimizer.getConfig().rule.momentum === 0.9 && second.optimizer.getClassName() === 'Lookahead', 'its settings');
  },

  async 'what it cannot be is refused in words'() {
    await thrown(() => accelerate(tf, tf.train.rmsprop(0.1)), 'Argument', /computes `RMSProp` otherwise.*SGD, Momentum, Adam/);
    await thrown(() => accelerate(tf, {}), 'Argument', /takes an optimizer of TensorFlow.js's/);
    await tf.setBackend('cpu');
    try {
      await thrown(() => lookahead(tf, { rule: { name: 'adam' } }), 'Argument', /the backend of TensorFlow.js is `cpu`/);
    } finally {
      await tf.setBackend('webgpu');
    }
    for (const [options, message] of [[{ halfGradients: 'f16' }, /`halfGradients` is no option here/], [{ groups: [] }, /`groups` is no option/],
      [{ guard: { lossScale: true } }, /`lossScale` is no option/], [{ onAssign: 'no' }, /`onAssign` must be/]]) {
      await thrown(() => lookahead(tf, { rule: { name: 'adam' }, ...options }), 'Argument', message);
    }
    const whole = tf.variable(tf.tensor1d([1, 2], 'int32'), true, 'whole');
    const plain = await lookahead(tf, { rule: { name: 'adam' } });
    await thrown(() => plain.applyGradients({ whole: tf.tensor1d([1, 2]) }), 'Argument', /`whole` is int32/);
    const short = tf.variable(tf.tensor1d([1, 2]), true, 'short');
    await thrown(() => plain.applyGradients({ short: tf.tensor1d([1, 2, 3]) }), 'Argument', /of the shape \[3\]/);
    await thrown(() => plain.applyGradients({ nobody: tf.tensor1d([1]) }), 'Argument', /no variable `nobody`/);
    tf.dispose([whole, short]);
    const optimizer = await lookahead(tf, { rule: { name: 'adamm' } });
    const weights = tf.variable(tf.scalar(1));
    await thrown(() => optimizer.minimize(() => tf.square(weights).asScalar()), 'Argument', /adamm/);
  },

  async 'a step is quicker than TensorFlow.js\'s, and `fit` is not slower'() {
    const shapes = Array.from({ length: 64 }, () => [256, 256]);
    const variables = shapes.map((shape) => tf.variable(tf.randomUniform(shape)));
    const gradients = Object.fromEntries(variables.map(({ name, shape }) => [name, tf.randomUniform(shape)]));
    const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
    const timed = async (optimizer) => {
      const times = [];
      for (let step = 0; step < 9; step++) {
        const begin = performance.now();
        optimizer.applyGradients(gradients);
        await tf.backend().device.queue.onSubmittedWorkDone();
        await variables[0].slice([0, 0], [1, 1]).data();
        times.push(performance.now() - begin);
      }
      return median(times.slice(2));
    };
    const [ours, theirs] = [await timed(await accelerate(tf, tf.train.adam(1e-3), { lookahead: {} })), await timed(tf.train.adam(1e-3))];
    tf.dispose([variables, gradients]);
    const data = await digits(640);
    await fitted(tf.train.adam(0.01), data, 1);
    const fits = { ours: [], theirs: [] };
    for (let turn = 0; turn < 3; turn++) {
      fits.theirs.push((await fitted(tf.train.adam(0.01), data, 2)).seconds);
      fits.ours.push((await fitted(await accelerate(tf, tf.train.adam(0.01)), data, 2)).seconds);
    }
    assert(theirs > 2 * ours, `a step takes ${ours} ms, and theirs ${theirs} ms`);
    return `64 tensors of 256x256: ${ours.toFixed(0)} ms with Lookahead, TensorFlow.js ${theirs.toFixed(0)} ms (${(theirs / ours).toFixed(1)} times); `
      + `fit of 40 steps: ${median(fits.ours).toFixed(2)} s, TensorFlow.js ${median(fits.theirs).toFixed(2)} s`;
  },
};

export const names = Object.keys(tests);

export async function run(name) {
  await tf.setBackend('webgpu');
  await tf.ready();
  return (await tests[name]()) ?? '';
}
