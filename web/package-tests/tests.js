// What `run.mjs` runs in the browser. A test returns a remark, or nothing.

import init, { Optimizer } from 'lookahead-wgpu';
import { adam, descend, globalNorm, sgd } from './reference.js';

await init();

const RULES = ['sgd', 'adagrad', 'rmsprop', 'adadelta', 'adam', 'adamw', 'adamax', 'nadam', 'radam', 'ranger',
  'adabelief', 'lion', 'lars', 'lamb', 'adafactor'];
const TENSORS = [{ name: 'w', shape: [3, 2] }, { name: 'b', shape: [3] }];
const NAMES = TENSORS.map(({ name }) => name);
/** Of all tensors, in a row. */
const START = [0.9, -1.2, 0.4, 2.0, -0.3, 1.1, 0.7, -0.8, 1.6];
const TARGET = [-0.4, 0.5, 1.3, -0.9, 0.8, 0.2, -1.1, 0.6, 0.1];
const CURVATURE = [0.5, 1.0, 2.0, 0.25, 1.5, 0.75, 1.25, 3.0, 0.4];
const TOLERANCE = 1e-5;

const gradient = (weights) => weights.map((value, i) => CURVATURE[i] * (value - TARGET[i]));
/** Both tensors' parts of a row. */
const parts = (values) => ({ w: new Float32Array(values.slice(0, 6)), b: new Float32Array(values.slice(6)) });

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

function same(found, expected, what) {
  const [left, right] = [found, expected].map((values) => JSON.stringify([...values]));
  assert(left === right, `${what}: ${left} is not ${right}`);
}

/** The largest difference, of numbers relative to those above 1. */
function difference(found, expected) {
  assert(found.length === expected.length, `${found.length} values, not ${expected.length}`);
  return Math.max(...expected.map((value, i) => Math.abs(found[i] - value) / Math.max(1, Math.abs(value))));
}

function near(found, expected, what) {
  const error = difference(found, expected);
  assert(error < TOLERANCE, `${what}: off by ${error}: ${[...found]} is not ${[...expected]}`);
  return error;
}

async function create(options) {
  const optimizer = await Optimizer.create({ tensors: TENSORS, ...options });
  for (const [name, values] of Object.entries(parts(START))) optimizer.setWeights(name, values);
  return optimizer;
}

async function row(optimizer, read = (name) => optimizer.weights(name)) {
  return (await Promise.all(NAMES.map(async (name) => [...await read(name)]))).flat();
}

/** The weights as kernels of a page see them, which are the slow ones or the average while those are exchanged. */
async function seen(optimizer, name) {
  const { device } = optimizer;
  const [{ buffer, offset, size }] = optimizer.weightSlices(name);
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  return new Float32Array(staging.getMappedRange());
}

async function train(optimizer, steps) {
  for (let step = 0; step < steps; step++) {
    for (const [name, values] of Object.entries(parts(gradient(await row(optimizer))))) {
      optimizer.setGradient(name, values);
    }
    optimizer.step();
  }
}

/** What was thrown: an `Error` with the library's message. */
async function thrown(call, kind, message) {
  let error;
  try {
    await call();
  } catch (caught) {
    error = caught;
  }
  assert(error !== undefined, `nothing was thrown for ${call}`);
  assert(error instanceof Error && error.name === 'LookaheadError', `for ${call}, ${error} was thrown`);
  assert(error.kind === kind, `for ${call}, the kind is ${error.kind}: ${error.message}`);
  assert(message.test(error.message), `for ${call}, the message is: ${error.message}`);
  return error.message;
}

/** Compares with the reference; the largest error of the weights and the slow weights. */
async function compare(options, reference, referenceOptions, steps = 23) {
  const optimizer = await create(options);
  await train(optimizer, steps);
  const expected = descend(reference, START, gradient, steps, referenceOptions);
  const errors = [near(await row(optimizer), expected.weights, 'weights')];
  if (options.lookahead) {
    const slow = await row(optimizer, (name) => optimizer.slowWeights(name));
    errors.push(near(slow, expected.slow, 'slow weights'));
  }
  optimizer.destroy();
  return Math.max(...errors);
}

const largest = (errors) => `largest difference ${Math.max(...errors).toExponential(1)}`;

const tests = {
  async 'creates an optimizer over named tensors'() {
    const optimizer = await create({ rule: { name: 'adam' }, lookahead: {} });
    assert(optimizer.steps === 0 && optimizer.position() === 0, 'no step is taken');
    assert(optimizer.learningRate() === 0.001, 'the default learning rate');
    assert(optimizer.memory >= 9 * 4 * 5, `${optimizer.memory} bytes`);
    near(await row(optimizer), START, 'weights');
    near(await row(optimizer, (name) => optimizer.slowWeights(name)), START, 'slow weights');
    await train(optimizer, 6);
    assert(optimizer.steps === 6 && optimizer.position() === 1, 'six steps, one after the sync');
    const remark = optimizer.adapter;
    assert(/swiftshader/i.test(remark), remark);
    optimizer.destroy();
    return remark;
  },

  async 'builds every rule, and each takes a step'() {
    for (const name of RULES) {
      const optimizer = await create({ rule: { name, lr: 0.1 } });
      await train(optimizer, 1);
      const weights = await row(optimizer);
      assert(weights.every(Number.isFinite), `${name}: ${weights}`);
      assert(difference(weights, START) > 1e-7, `${name} moves nothing`);
      optimizer.destroy();
    }
    return `${RULES.length} rules`;
  },

  async 'SGD with and without Lookahead is the reference'() {
    const errors = [];
    for (const hyper of [{ lr: 0.1 }, { lr: 0.1, momentum: 0.9 }]) {
      errors.push(await compare({ rule: { name: 'sgd', ...hyper } }, sgd(hyper), { k: Infinity }));
      for (const policy of ['maintain', 'interpolate', 'reset']) {
        const lookahead = { k: 5, alpha: 0.5, policy };
        errors.push(await compare({ rule: { name: 'sgd', ...hyper }, lookahead }, sgd(hyper), lookahead));
      }
    }
    return largest(errors);
  },

  async 'Adam with and without Lookahead is the reference'() {
    const hyper = { lr: 0.05, betas: [0.8, 0.95], eps: 1e-6 };
    const rule = { name: 'adam', ...hyper };
    const errors = [await compare({ rule }, adam(hyper), { k: Infinity })];
    for (const policy of ['maintain', 'interpolate', 'reset']) {
      const lookahead = { k: 5, alpha: 0.5, policy };
      errors.push(await compare({ rule, lookahead }, adam(hyper), lookahead));
    }
    return largest(errors);
  },

  async 'a kernel of the page writes gradients in place'() {
    const hyper = { lr: 0.1, momentum: 0.5 };
    const optimizer = await create({ rule: { name: 'sgd', ...hyper }, lookahead: {} });
    const { device } = optimizer;
    assert(device instanceof GPUDevice, 'the device is the browser\'s');
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code: `
      @group(0) @binding(0) var<storage, read> weights: array<f32>;
      @group(0) @binding(1) var<storage, read_write> gradients: array<f32>;
      @group(0) @binding(2) var<storage, read> target_: array<f32>;
      @group(0) @binding(3) var<storage, read> curvature: array<f32>;
      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
        let i = id.x;
        if i < arrayLength(&curvature) { gradients[i] = curvature[i] * (weights[i] - target_[i]); }
      }` });
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
    const upload = (values) => {
      const buffer = device.createBuffer({ size: values.byteLength, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
      device.queue.writeBuffer(buffer, 0, values);
      return { buffer };
    };
    const groups = NAMES.map((name) => {
      const [weights, ...more] = optimizer.weightSlices(name);
      const [gradients] = optimizer.gradientSlices(name);
      assert(more.length === 0 && gradients.buffer instanceof GPUBuffer, 'one slice of the browser\'s buffer');
      assert(gradients.size === 4 * parts(START)[name].length, `${gradients.size} bytes`);
      const resources = [weights, gradients, upload(parts(TARGET)[name]), upload(parts(CURVATURE)[name])];
      const entries = resources.map((resource, binding) => ({ binding, resource }));
      return device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    });
    for (let step = 0; step < 23; step++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      for (const group of groups) {
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(1);
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      optimizer.step();
    }
    const problem = await device.popErrorScope();
    assert(problem === null, problem?.message);
    const expected = descend(sgd(hyper), START, gradient, 23);
    const error = near(await row(optimizer), expected.weights, 'weights');
    const [slice] = optimizer.slowWeightSlices('b');
    assert(slice.buffer instanceof GPUBuffer && slice.size === 12, 'the slow weights have a slice, too');
    optimizer.destroy();
    return largest([error]);
  },

  async 'a read sees the steps before it, and none after'() {
    const optimizer = await create({ rule: { name: 'sgd', lr: 1 } });
    for (const [name, values] of Object.entries(parts(START))) optimizer.setGradient(name, values);
    const [before, saved] = [optimizer.weights('b'), optimizer.save().catch((error) => error.message)];
    let refused = '';
    try {
      optimizer.step();
    } catch (error) {
      refused = error.message;
    }
    near(await before, START.slice(6), 'before');
    assert(/`step` while `save` or `skipped` is under way; await it first/.test(refused), `refused: ${refused}`);
    assert(await saved instanceof Uint8Array, `saved: ${await saved}`);
    optimizer.step();
    const after = optimizer.weights('b');
    optimizer.step();
    near(await after, START.slice(6).map(() => 0), 'between');
    near(await optimizer.weights('b'), START.slice(6).map((value) => -value), 'after');
    optimizer.destroy();
  },

  async 'schedules the learning rate'() {
    const [hyper, decays] = [{ lr: 0.1 }, [[4, 0.5], [9, 0.1]]];
    const factor = (step) => decays.reduce((all, [from, times]) => step >= from ? all * times : all, 1);
    const cosine = (step) => step < 4 ? (step + 1) / 4
      : 0.1 + 0.9 * (1 + Math.cos(Math.PI * Math.min(1, (step - 4) / 16))) / 2;
    const rule = { name: 'sgd', ...hyper };
    const lookahead = {};
    return largest([
      await compare({ rule, lookahead, schedule: { steps: decays } }, sgd(hyper), { factor }),
      await compare({ rule, schedule: { cosine: { warmup: 4, total: 20, floor: 0.1 } } }, sgd(hyper),
        { k: Infinity, factor: cosine }),
      await compare({ rule, schedule: { transformer: { width: 16, warmup: 4 } } }, sgd(hyper),
        { k: Infinity, factor: (step) => 16 ** -0.5 * Math.min((step + 1) ** -0.5, (step + 1) * 4 ** -1.5) }),
    ]);
  },

  async 'clips gradients'() {
    const hyper = { lr: 0.1 };
    const rule = { name: 'sgd', ...hyper };
    const lookahead = {};
    const perTensor = (g) => [...globalNorm(0.7)(g.slice(0, 6)), ...globalNorm(0.7)(g.slice(6))];
    return largest([
      await compare({ rule, lookahead, clip: { globalNorm: 1 } }, sgd(hyper), { clip: globalNorm(1) }),
      await compare({ rule, lookahead, clip: { tensorNorm: 0.7 } }, sgd(hyper), { clip: perTensor }),
      await compare({ rule, lookahead, clip: { value: 0.5 } }, sgd(hyper),
        { clip: (g) => g.map((value) => Math.min(0.5, Math.max(-0.5, value))) }),
    ]);
  },

  async 'takes every other option'() {
    const rule = { name: 'sgd', lr: 0.1, momentum: 0.9 };
    const options = [
      { lookahead: {}, adaptiveAlpha: { alphaLow: 0.2 }, rule: { name: 'adam', lr: 0.1 } },
      { lookahead: {}, adaptiveAlpha: { alphaLow: 0.2, curvature: { fisher: 0.9 }, scope: 'tensor', gradient: 'lastStep' } },
      { lookahead: {}, outer: { heavyBall: 0.5 } }, { lookahead: {}, outer: { nesterov: 0.5 } },
      { lookahead: {}, outer: { slowMo: 0.5 } },
      { average: { ema: 0.9 } }, { average: { polyak: {} } }, { average: { swa: { every: 2, from: 1 } } },
      { accumulate: { microBatches: 2 } }, { accumulate: { microBatches: 2, mean: false } }, { centralise: true },
      {
        rule: { name: 'adam', lr: 0.1, amsgrad: true }, lookahead: { policy: 'interpolate' }, average: { ema: 0.9 },
        outer: { nesterov: 0.5 }, accumulate: { microBatches: 2 }, guard: true, clip: { globalNorm: 1 }, centralise: true,
      },
    ];
    for (const option of options) {
      const text = JSON.stringify(option);
      let optimizer;
      try {
        optimizer = await create({ rule, ...option });
        await train(optimizer, 12);
      } catch (error) {
        throw new Error(`${text}: ${error.message}`);
      }
      const weights = await row(optimizer);
      assert(weights.every(Number.isFinite) && difference(weights, START) > 1e-3, `${text}: ${weights}`);
      if (option.average && !option.guard) {
        const average = await row(optimizer, (name) => optimizer.read('average', name));
        optimizer.swapAverage();
        same(await row(optimizer, (name) => seen(optimizer, name)), average, 'exchanged');
        optimizer.swapAverage();
        same(await row(optimizer), weights, 'exchanged back');
      }
      optimizer.destroy();
    }
    return `${options.length} configurations`;
  },

  async 'has groups with settings of their own, and changes them between cycles'() {
    const optimizer = await create({
      rule: { name: 'sgd', lr: 0.1 },
      lookahead: { k: 3 },
      groups: [{ name: 'biases', learningRateFactor: 2, k: 2, alpha: 1 }, { name: 'still', frozen: true }],
      tensors: [{ name: 'w', shape: [6] }, { name: 'b', shape: [3], group: 'biases' }, { name: 's', shape: [], group: 'still' }],
    });
    optimizer.setWeights('s', new Float32Array([5]));
    optimizer.setGradient('s', new Float32Array([1]));
    assert(optimizer.learningRate('biases') === 0.2, `${optimizer.learningRate('biases')}`);
    await train(optimizer, 6);
    const [w, b] = [descend(sgd({ lr: 0.1 }), START, gradient, 6, { k: 3 }), descend(sgd({ lr: 0.2 }), START, gradient, 6, { k: 2, alpha: 1 })];
    near(await optimizer.weights('w'), w.weights.slice(0, 6), 'w');
    near(await optimizer.weights('b'), b.weights.slice(6), 'b');
    same(await optimizer.weights('s'), [5], 'frozen');
    optimizer.setK(4);
    optimizer.setAlpha(0.25);
    optimizer.setLearningRate(0.02);
    assert(optimizer.learningRate() === 0.02, 'set');
    await train(optimizer, 2);
    assert(optimizer.position() === 2, `${optimizer.position()}`);
    await thrown(() => optimizer.setK(2), 'MidCycle', /k can change between cycles only, and the group `default` is at step 2 of 4/);
    const fast = await optimizer.weights('w');
    const slow = await optimizer.slowWeights('w');
    optimizer.swapSlow();
    same(await seen(optimizer, 'w'), slow, 'exchanged');
    await thrown(() => optimizer.weights('w'), 'Swapped', /^download is not possible while the weights are exchanged/);
    await thrown(() => optimizer.step(), 'Swapped', /step is not possible while the weights are exchanged/);
    optimizer.swapSlow();
    same(await optimizer.weights('w'), fast, 'exchanged back');
    optimizer.syncNow();
    assert(optimizer.position() === 0, 'a new cycle');
    near(await optimizer.weights('w'), [...slow].map((value, i) => value + 0.25 * (fast[i] - value)), 'synchronised');
    optimizer.setWeights('w', new Float32Array(6).fill(7));
    optimizer.reseed();
    same(await optimizer.slowWeights('w'), Array(6).fill(7), 'reseeded');
    optimizer.destroy();
  },

  async 'the guard skips a step whose gradient is not finite'() {
    const optimizer = await create({ rule: { name: 'adam', lr: 0.1 }, lookahead: {}, guard: true });
    await train(optimizer, 3);
    const before = await row(optimizer);
    optimizer.setGradient('b', new Float32Array([0, NaN, 0]));
    optimizer.step();
    same(await row(optimizer), before, 'nothing moved');
    assert(await optimizer.skipped() === 1, 'one step is skipped');
    await train(optimizer, 1);
    assert(difference(await row(optimizer), before) > 1e-3, 'it goes on');
    optimizer.destroy();
  },

  async 'a checkpoint goes on bit for bit in a new optimizer'() {
    const options = { rule: { name: 'adam', lr: 0.05 }, lookahead: { policy: 'interpolate' }, average: { ema: 0.9 } };
    const first = await create(options);
    await train(first, 7);
    const saved = await first.save();
    await train(first, 8);
    const second = await create(options);
    second.load(saved);
    assert(second.steps === 7 && second.position() === 2, 'it stands where the first one was');
    same(await second.save(), saved, 'saved again');
    await train(second, 8);
    for (const field of ['weights', 'slow_weights', 'average', 'state.exp_avg', 'state.exp_avg_sq', 'slow_state.exp_avg']) {
      const [left, right] = [first, second].map((each) => row(each, (name) => each.read(field, name)));
      same(await right, await left, field);
    }
    same(await second.save(), await first.save(), 'both saved');
    await thrown(() => second.load(saved.subarray(0, 100)), 'Checkpoint', /./);
    await thrown(() => second.load(new Uint8Array()), 'Checkpoint', /./);
    const other = await create({ rule: { name: 'sgd', lr: 0.1 } });
    const message = await thrown(() => other.load(saved), 'Snapshot', /^the snapshot does not fit: /);
    for (const optimizer of [first, second, other]) optimizer.destroy();
    return `${saved.length} bytes; another rule's: ${message}`;
  },

  async 'bad options are refused with the library\'s words'() {
    const rule = { name: 'adam' };
    const tensors = TENSORS;
    const cases = [
      [undefined, 'Argument', /^the optimizer's options: /],
      [{ tensors }, 'Argument', /missing field `rule`/],
      [{ rule }, 'Argument', /missing field `tensors`/],
      [{ rule, tensors: [] }, 'NoTensors', /needs at least one tensor/],
      [{ rule: {}, tensors }, 'Argument', /a rule needs a name/],
      [{ rule: { name: 'adm' }, tensors }, 'Argument', /there is no rule `adm`; there are: `sgd`, .*`adafactor`/],
      [{ rule: { name: 'sgd' }, tensors }, 'Argument', /`lr` of the rule `sgd` must be a number/],
      [{ rule: { name: 'adam', momentum: 0.9 }, tensors }, 'Argument', /the rule `adam` has no `momentum`; it has: `lr`, `betas`/],
      [{ rule: { name: 'adam', lr: 'fast' }, tensors }, 'Argument', /`lr` of the rule `adam` must be a number/],
      [{ rule: { name: 'adam', lr: NaN }, tensors }, 'Hyperparameter', /= NaN is not allowed: it must be /],
      [{ rule: { name: 'adam', lr: -1 }, tensors }, 'Hyperparameter', /= -1 is not allowed/],
      [{ rule: { name: 'adam', betas: [0.9] }, tensors }, 'Argument', /`betas` of the rule `adam` must be two numbers/],
      [{ rule: { name: 'adam', betas: [1, 0.9] }, tensors }, 'Hyperparameter', /= 1 is not allowed/],
      [{ rule, tensors, lookahead: { alpha: 2 } }, 'Hyperparameter', /^alpha = 2 is not allowed: it must be in \(0, 1\]/],
      [{ rule, tensors, lookahead: { alpha: 0 } }, 'Hyperparameter', /^alpha = 0 is not allowed/],
      [{ rule, tensors, lookahead: { alpha: NaN } }, 'Hyperparameter', /^alpha = NaN is not allowed/],
      [{ rule, tensors, lookahead: { k: 0 } }, 'Hyperparameter', /^k = 0 is not allowed: it must be at least 1/],
      [{ rule: { name: 'adam', eps: [] }, tensors }, 'Argument', /`eps` of the rule `adam` must be a number/],
      [{ rule: { name: 'adam', betas: null }, tensors }, 'Argument', /`betas` of the rule `adam` must be two numbers/],
      [{ rule: { name: 'adafactor', lr: 1, minDimSizeToFactor: 2.5 }, tensors }, 'Argument', /`minDimSizeToFactor` of the rule `adafactor` must be a whole number/],
      [{ rule: { name: () => 0 }, tensors }, 'Argument', /./],
      [{ rule, tensors, lookahead: { k: -1 } }, 'Argument', /`-1.0`, expected u32/],
      [{ rule, tensors, lookahead: { k: 2.5 } }, 'Argument', /`2.5`, expected u32/],
      [{ rule, tensors, lookahead: { policy: 'keep' } }, 'Argument', /unknown variant `keep`, expected one of `maintain`/],
      [{ rule, tensors, lookAhead: {} }, 'Argument', /^the optimizer's options: there is no option `lookAhead`$/],
      [{ rule, tensors, lookahead: { alfa: 1 } }, 'Argument', /there is no option `alfa`/],
      [{ rule, tensors: [{ name: 'w', shape: [2], grp: 'a' }] }, 'Argument', /there is no option `grp`/],
      [{ rule, tensors, groups: [{ name: 'a', lr: 1 }] }, 'Argument', /there is no option `lr`/],
      [{ rule, tensors, schedule: { cosine: { total: 3, warmUp: 9 } } }, 'Argument', /there is no option `warmUp`/],
      [{ rule, tensors, average: { swa: { every: 3, since: 9 } } }, 'Argument', /there is no option `since`/],
      [{ rule, tensors, clip: { globalNorm: 0 } }, 'Hyperparameter', /^clip = 0 is not allowed/],
      [{ rule, tensors, clip: { norm: 1 } }, 'Argument', /unknown variant `norm`/],
      [{ rule, tensors, schedule: { cosine: { warmup: 9, total: 3 } } }, 'Hyperparameter', /^cosine total = 3 is not allowed: it must be larger than the warm-up/],
      [{ rule, tensors: [{ name: 'w', shape: [2] }, { name: 'w', shape: [3] }] }, 'DuplicateName', /the tensor `w` is there twice/],
      [{ rule, tensors: [{ name: '', shape: [2] }] }, 'EmptyName', /a tensor has an empty name/],
      [{ rule, tensors: [{ name: 'w', shape: [0] }] }, 'Shape', /the tensor `w` has the shape \[0\]/],
      [{ rule, tensors: [{ name: 'w', shape: [-1] }] }, 'Argument', /`-1.0`, expected usize/],
      [{ rule, tensors: [{ name: 'w', shape: [65536, 65536, 65536] }] }, 'Shape', /the tensor `w` has the shape \[65536, 65536, 65536\]/],
      [{ rule, tensors: [{ name: 'w', shape: [2], group: 'none' }] }, 'UnknownName', /there is no group `none`/],
      [{ rule, tensors, outer: { nesterov: 2 }, lookahead: {} }, 'Hyperparameter', /= 2 is not allowed/],
      [{ rule, tensors, accumulate: { microBatches: 0 } }, 'Hyperparameter', /= 0 is not allowed/],
    ];
    const failures = [];
    for (const [options, kind, message] of cases) {
      try {
        await thrown(() => Optimizer.create(options), kind, message);
      } catch (error) {
        failures.push(`${JSON.stringify(options)}: ${error.message}`);
      }
    }
    assert(failures.length === 0, failures.join('\n'));
    return `${cases.length} cases`;
  },

  async 'undefined is left out, and null is not'() {
    const nothing = (...names) => Object.fromEntries(names.map((name) => [name, undefined]));
    const bare = await create({ rule: { name: 'adafactor', lr: 0.1 } });
    const asBare = await create({
      rule: { name: 'adafactor', lr: 0.1, ...nothing('eps', 'clippingThreshold', 'decayRate', 'momentum', 'relativeStep', 'minDimSizeToFactor') },
      ...nothing('lookahead', 'groups', 'schedule', 'clip', 'adaptiveAlpha', 'outer', 'average', 'accumulate', 'centralise', 'guard'),
    });
    const unclipped = await create({ rule: { name: 'adafactor', lr: 0.1, clippingThreshold: null } });
    for (const optimizer of [bare, asBare, unclipped]) {
      // Updates are clipped where gradients grow.
      for (const size of [1, 10, 100]) {
        optimizer.setGradient('w', new Float32Array(6).fill(size));
        optimizer.step();
      }
    }
    same(await row(asBare), await row(bare), 'as if left out');
    assert(difference(await row(unclipped), await row(bare)) > 1e-6, 'null means no clipping');
    const adam = await create({
      rule: { name: 'adam', ...nothing('lr', 'betas', 'amsgrad') },
      schedule: { cosine: { total: 9, ...nothing('warmup', 'floor') } },
      average: { polyak: { from: undefined } },
      groups: [{ name: 'a', ...nothing('frozen', 'k', 'rule') }],
    });
    await train(adam, 1);
    for (const optimizer of [bare, asBare, unclipped, adam]) optimizer.destroy();
  },

  async 'bad calls are refused with the library\'s words'() {
    const optimizer = await create({ rule: { name: 'adam' } });
    const lookahead = await create({ rule: { name: 'adam' }, lookahead: {} });
    const floats = (count) => new Float32Array(count);
    const unknown = /^there is no tensor `none`; there are: `w`, `b`$/;
    const cases = [
      [() => optimizer.setWeights('none', floats(6)), 'UnknownName', unknown],
      [() => optimizer.setGradient('none', floats(6)), 'UnknownName', unknown],
      [() => optimizer.weights('none'), 'UnknownName', unknown],
      [() => optimizer.gradientSlices('none'), 'UnknownName', unknown],
      [() => optimizer.setWeights('w', floats(5)), 'Length', /^the tensor `w` has 6 elements, and 5 were given$/],
      [() => optimizer.setGradient('w', floats(7)), 'Length', /^the tensor `w` has 6 elements, and 7 were given$/],
      [() => optimizer.slowWeights('w'), 'NoLookahead', /`w`.* has no slow weights: it was built without `lookahead`/],
      [() => optimizer.read('weight', 'w'), 'Argument', /there is no field `weight`; `weights` is one/],
      [() => optimizer.read('state.velocity', 'w'), 'UnknownName', /there is no field of the tensor `state.velocity`; there are: `state.exp_avg`, `state.exp_avg_sq`/],
      [() => optimizer.read('average', 'w'), 'UnknownName', /./],
      [() => optimizer.setLearningRate(NaN), 'Hyperparameter', /= NaN is not allowed/],
      [() => optimizer.setLearningRate(-1), 'Hyperparameter', /= -1 is not allowed/],
      [() => optimizer.setLearningRate(0.1, 'none'), 'UnknownName', /there is no group `none`/],
      [() => optimizer.setAlpha(0.5), 'NoLookahead', /./],
      [() => optimizer.setK(3), 'NoLookahead', /./],
      [() => lookahead.setK(0), 'Hyperparameter', /^k = 0 is not allowed: it must be a whole number from 1/],
      [() => lookahead.setK(-1), 'Hyperparameter', /^k = -1 is not allowed/],
      [() => lookahead.setK(2.5), 'Hyperparameter', /^k = 2.5 is not allowed/],
      [() => lookahead.setK(2 ** 32 + 3), 'Hyperparameter', /^k = 4294967299 is not allowed/],
      [() => lookahead.setK(NaN), 'Hyperparameter', /^k = NaN is not allowed/],
      [() => optimizer.swapSlow(), 'NoLookahead', /./],
      [() => optimizer.swapAverage(), 'UnknownName', /there is no average .*: build with `average`/],
    ];
    const failures = [];
    for (const [call, kind, message] of cases) {
      try {
        await thrown(call, kind, message);
      } catch (error) {
        failures.push(error.message);
      }
    }
    assert(failures.length === 0, failures.join('\n'));
    await train(optimizer, 1);
    assert(optimizer.steps === 1, 'it is as good as before');
    for (const each of [optimizer, lookahead]) each.destroy();
    return `${cases.length} cases`;
  },

  async 'a lost device is a clear error, at every call'() {
    const optimizer = await create({ rule: { name: 'adam' }, lookahead: {} });
    await train(optimizer, 2);
    const lost = optimizer.lost();
    optimizer.device.destroy();
    await thrown(() => optimizer.weights('w'), 'DeviceLost', /^the device was lost while /);
    const why = await lost;
    const again = /^the device was lost while `?.*`? \(.*\); open a new one, build the optimizer again and `import` the last snapshot/;
    const messages = [];
    for (const call of [
      () => optimizer.step(), () => optimizer.syncNow(), () => optimizer.weights('w'), () => optimizer.slowWeights('w'),
      () => optimizer.save(), () => optimizer.skipped(), () => optimizer.setWeights('w', new Float32Array(6)),
      () => optimizer.setGradient('w', new Float32Array(6)),
    ]) messages.push(await thrown(call, 'DeviceLost', again));
    assert(optimizer.steps === 2, 'what the host knows, it still tells');
    const other = await create({ rule: { name: 'adam' }, lookahead: {} });
    const reading = other.weights('w');
    other.destroy();
    // Either may come first; that neither hangs is what matters.
    await reading.catch((error) => assert(error.kind === 'DeviceLost', error.message));
    await thrown(() => other.step(), 'DeviceLost', /destroyed/);
    other.destroy();
    other.free();
    return `${why}: ${messages[0]}`;
  },

  async 'the example of the README finds the lowest point'() {
    const { x, y } = await import('./example.js');
    assert(Math.abs(x - 3) < 1e-2 && Math.abs(y + 1) < 1e-2, `${x}, ${y}`);
    return `${x}, ${y}`;
  },

  async 'many optimizers come and go'() {
    for (let i = 0; i < 12; i++) {
      const optimizer = await create({ rule: { name: 'sgd', lr: 0.1 }, lookahead: {} });
      await train(optimizer, 1);
      optimizer.destroy();
      optimizer.free();
    }
  },
};

/** Not of the usual run: browsers without WebGPU. */
const without = {
  'no adapter': () => thrown(() => create({ rule: { name: 'adam' } }), 'NoWebGpu', /^no WebGPU: the browser has it, and found no adapter/),
  'no WebGPU': () => thrown(() => create({ rule: { name: 'adam' } }), 'NoWebGpu', /^no WebGPU: this browser has none here/),
};

export const names = Object.keys(tests);
export const run = async (name) => (await { ...tests, ...without }[name]()) ?? '';
