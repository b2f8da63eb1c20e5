// What `run.mjs` runs in the browser. A test returns a remark, or nothing.

import init, { initSync, LookaheadError, NonMonotone, Optimizer } from 'lookahead-wgpu';
import * as bits from './bits.js';
import { assert, difference, near, thrown } from './check.js';
import { golden } from './golden.js';
import { adam, descend, globalNorm, sgd } from './reference.js';

const RULES = ['sgd', 'adagrad', 'rmsprop', 'adadelta', 'adam', 'adamw', 'adamax', 'nadam', 'radam', 'ranger',
  'adabelief', 'lion', 'lars', 'lamb', 'adafactor'];
const TENSORS = [{ name: 'w', shape: [3, 2] }, { name: 'b', shape: [3] }];
const NAMES = TENSORS.map(({ name }) => name);
/** Of all tensors, in a row. */
const START = [0.9, -1.2, 0.4, 2.0, -0.3, 1.1, 0.7, -0.8, 1.6];
const TARGET = [-0.4, 0.5, 1.3, -0.9, 0.8, 0.2, -1.1, 0.6, 0.1];
const CURVATURE = [0.5, 1.0, 2.0, 0.25, 1.5, 0.75, 1.25, 3.0, 0.4];

const gradient = (weights) => weights.map((value, i) => CURVATURE[i] * (value - TARGET[i]));
/** Both tensors' parts of a row. */
const parts = (values) => ({ w: new Float32Array(values.slice(0, 6)), b: new Float32Array(values.slice(6)) });

function same(found, expected, what) {
  const [left, right] = [found, expected].map((values) => JSON.stringify([...values]));
  assert(left === right, `${what}: ${left} is not ${right}`);
}

async function create(options) {
  const optimizer = await Optimizer.create({ tensors: TENSORS, ...options });
  for (const [name, values] of Object.entries(parts(START))) optimizer.setWeights(name, values);
  return optimizer;
}

/** A device of the page's, with the limits that every browser offers. */
async function pageDevice() {
  return (await navigator.gpu.requestAdapter()).requestDevice();
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

/** The same bytes in everything that holds bytes. */
function asBytes(bytes) {
  const { buffer } = bytes.slice();
  const padded = new Uint8Array([1, 2, 3, ...bytes]);
  // The class itself is hidden from pages that are not isolated.
  const memory = new WebAssembly.Memory({ shared: true, initial: 1, maximum: 1 });
  const shared = new Uint8Array(memory.buffer, 8, bytes.length);
  shared.set(bytes);
  return [buffer, new DataView(buffer), padded.subarray(3), new Int8Array(buffer), new Uint8ClampedArray(buffer), shared,
    ...(bytes.length % 4 === 0 ? [new Uint32Array(buffer), new Float32Array(buffer)] : [])];
}

/** Runs while methods of the browser's are others. */
async function patched(patches, run) {
  const before = patches.map(([object, name]) => object[name]);
  for (const [object, name, method] of patches) object[name] = method;
  try {
    return await run();
  } finally {
    patches.forEach(([object, name], i) => { object[name] = before[i]; });
  }
}

const throwing = (name) => function () { throw new RangeError(`no ${name} today`); };

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

  async 'the trajectories of PyTorch and optax are met, on one device of the page\'s'() {
    const device = await pageDevice();
    const told = [];
    for (const name of ['torch', 'optax']) {
      const file = await (await fetch(`../../tests/golden/${name}.json`)).json();
      told.push(await golden(file, (options) => Optimizer.create({ device, ...options })));
    }
    device.destroy();
    const count = told.reduce((all, each) => all + each.count, 0);
    assert(count === 127, `${count} trajectories`);
    return `${count} trajectories, largest error ${Math.max(...told.map((each) => each.largest)).toExponential(1)}`;
  },

  async 'every rule and option comes to the bits of the library on wgpu'() {
    const library = await import('../dist/tests/lookahead_wgpu_tests.js');
    await library.default();
    const device = await pageDevice();
    const told = await bits.compare((options) => Optimizer.create({ device, ...options }), library);
    device.destroy();
    return told;
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

  async 'works on the page\'s own device, and leaves it as it was'() {
    const device = await pageDevice();
    const uncaptured = [];
    device.onuncapturederror = ({ error }) => uncaptured.push(error.message);
    const handler = device.onuncapturederror;
    const make = async (options) => {
      const optimizer = await create({ device, rule: { name: 'adam', lr: 0.1 }, lookahead: {}, ...options });
      assert(optimizer.device === device, 'the device is the page\'s');
      return optimizer;
    };
    const own = await create({ rule: { name: 'adam', lr: 0.1 }, lookahead: {} });
    const [one, other] = [await make(), await make({ lookahead: { k: 2 } })];
    for (const optimizer of [own, one, other]) await train(optimizer, 7);
    assert(`${await row(one)}` === `${await row(own)}`, 'the bits are those of a device of its own');
    assert(`${await row(other)}` !== `${await row(own)}`, 'and two on one device are two');
    one.destroy();
    await thrown(() => one.step(), 'DeviceLost', /destroyed/);
    await train(other, 1);
    other.destroy();
    own.destroy();
    const buffer = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_DST });
    await device.queue.onSubmittedWorkDone();
    assert(buffer.size === 4 && device.onuncapturederror === handler, 'the device is there, and its handler');
    assert(uncaptured.length === 0, `${uncaptured}`);
    await thrown(() => create({ device: {}, rule: { name: 'adam' } }), 'Argument', /`device` must be a GPUDevice, and is an object/);
    device.destroy();
  },

  async 'steps into the page\'s encoder, between what is recorded there'() {
    const device = await pageDevice();
    const options = { device, rule: { name: 'sgd', lr: 0.5 }, lookahead: { k: 3 } };
    const [optimizer, alone] = [await create(options), await create(options)];
    // The gradient is the weights, copied between the steps of one submission.
    const pass = (each, encoder) => {
      for (const name of NAMES) {
        const [[from], [to]] = [each.weightSlices(name), each.gradientSlices(name)];
        encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, from.size);
      }
    };
    const steps = 600;
    const encoder = device.createCommandEncoder();
    for (let step = 0; step < steps; step++) {
      pass(optimizer, encoder);
      optimizer.step(encoder);
    }
    // Nothing has happened yet, whatever others submit meanwhile.
    assert(`${await row(optimizer)}` === `${Float32Array.from(START)}`, 'it is the page that submits');
    device.queue.submit([encoder.finish()]);
    for (let step = 0; step < steps; step++) {
      const each = device.createCommandEncoder();
      pass(alone, each);
      device.queue.submit([each.finish()]);
      alone.step();
    }
    assert(`${await row(optimizer)}` === `${await row(alone)}`, 'the bits are those of steps of its own');
    await thrown(() => optimizer.step({}), 'Argument', /`encoder` of `step` must be a GPUCommandEncoder/);
    // One that is finished is told by the next call, and is none of the page's uncaptured errors.
    const uncaptured = [];
    device.onuncapturederror = ({ error }) => uncaptured.push(error.message);
    const finished = device.createCommandEncoder();
    finished.finish();
    optimizer.step(finished);
    await device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    await thrown(() => optimizer.step(), 'Device', /a call before this one/);
    optimizer.step();
    assert(uncaptured.length === 0, `${uncaptured}`);
    device.destroy();
  },

  async 'a step makes no object on the GPU, and takes little of the host\'s time'() {
    const device = await pageDevice();
    const made = ['createBuffer', 'createBindGroup', 'createShaderModule', 'createComputePipeline', 'createComputePipelineAsync',
      'createBindGroupLayout', 'createPipelineLayout'];
    let count = 0;
    const counted = (name) => {
      const method = GPUDevice.prototype[name];
      return [GPUDevice.prototype, name, function (...words) { count += 1; return method.apply(this, words); }];
    };
    const told = [];
    for (const tensors of [1, 161]) {
      const optimizer = await Optimizer.create({
        device, rule: { name: 'adam' }, lookahead: {},
        tensors: Array.from({ length: tensors }, (_, i) => ({ name: `${i}`, shape: [16] })),
      });
      const steps = 200;
      const time = (run) => {
        const begin = performance.now();
        for (let step = 0; step < steps; step++) run();
        return 1000 * (performance.now() - begin) / steps;
      };
      // Submitted, and into an encoder of the page's, which leaves out what a submission costs.
      const several = async () => {
        for (let turn = 0; turn < 6; turn++) {
          time(() => optimizer.step());
          await device.queue.onSubmittedWorkDone();
        }
      };
      await several();
      await patched(made.map(counted), several);
      assert(count === 0, `${count} objects in ${6 * steps} steps`);
      const submitted = [];
      const recorded = [];
      for (let sample = 0; sample < 7; sample++) {
        await device.queue.onSubmittedWorkDone();
        submitted.push(time(() => optimizer.step()));
        const encoder = device.createCommandEncoder();
        recorded.push(time(() => optimizer.step(encoder)));
        device.queue.submit([encoder.finish()]);
      }
      const median = (values) => values.sort((a, b) => a - b)[3].toFixed(0);
      told.push(`${tensors} tensors: ${median(recorded)} us recorded, ${median(submitted)} us submitted`);
      optimizer.destroy();
    }
    device.destroy();
    return told.join('; ');
  },

  async 'two hundred optimizers come and go on one device, and leave nothing'() {
    const device = await pageDevice();
    const { createBuffer } = GPUDevice.prototype;
    const { destroy } = GPUBuffer.prototype;
    const there = new Set();
    const made = function (descriptor) {
      const buffer = createBuffer.call(this, descriptor);
      there.add(buffer);
      return buffer;
    };
    const gone = function () {
      there.delete(this);
      destroy.call(this);
    };
    await init();
    await patched([[GPUDevice.prototype, 'createBuffer', made], [GPUBuffer.prototype, 'destroy', gone]], async () => {
      for (let i = 0; i < 200; i++) {
        const optimizer = Optimizer.createSync({
          device, rule: { name: 'adam' }, lookahead: {}, guard: true, tensors: [{ name: 'w', shape: [64, 64] }],
        });
        optimizer.setWeights('w', new Float32Array(4096).fill(i));
        optimizer.step();
        const values = await optimizer.weights('w');
        assert(values[0] === i, `${values[0]} is not ${i}`);
        optimizer.destroy();
        optimizer.free();
      }
    });
    assert(there.size === 0, `${there.size} buffers are left`);
    device.destroy();
  },

  async 'a page\'s device that is lost is told, and one that is made at once'() {
    await init();
    const options = { rule: { name: 'adam' }, lookahead: {}, tensors: [{ name: 'w', shape: [4] }] };
    await thrown(() => Optimizer.createSync(options), 'Argument', /`createSync` needs a `device`/);
    const device = await pageDevice();
    const optimizer = Optimizer.createSync({ ...options, device });
    const reading = optimizer.weights('w');
    device.destroy();
    await reading.catch((error) => assert(error.kind === 'DeviceLost', error.message));
    assert(/destroyed/.test(await optimizer.lost()), 'it says why');
    await thrown(() => optimizer.step(), 'DeviceLost', /destroyed/);
    await thrown(() => optimizer.save(), 'DeviceLost', /destroyed/);
    optimizer.destroy();
    await thrown(() => Optimizer.create({ ...options, device }), 'DeviceLost', /destroyed/);
    // A rule that does not compile is told by every call.
    const other = await pageDevice();
    const wrong = Optimizer.createSync({ ...options, device: other, rule: { name: 'mine', lr: 1, wgsl: 'fn update(w: vec4f, g: vec4f) -> vec4f { return nothing; }' } });
    await other.queue.onSubmittedWorkDone();
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    await thrown(() => wrong.step(), 'Shader', /the WGSL of the rule `mine` is wrong at line \d+/);
    const told = await thrown(() => wrong.weights('w'), 'Shader', /nothing/);
    wrong.destroy();
    other.destroy();
    return told.split('\n')[0];
  },

  async 'trains on buffers of the page\'s, which may lie elsewhere at each step'() {
    const device = await pageDevice();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const pool = (size) => device.createBuffer({ size, usage });
    const [first, second, gradients] = [pool(400), pool(1024), pool(512)];
    const write = (buffer, at, values) => device.queue.writeBuffer(buffer, at, new Float32Array(values));
    const where = { w: [4, 256], b: [100, 40] };
    const at = (buffer, offset) => ({ buffer, offset });
    const options = { device, rule: { name: 'adam', lr: 0.1 }, lookahead: { k: 3 } };
    const optimizer = await Optimizer.create({
      ...options,
      tensors: TENSORS.map(({ name, shape }) => ({ name, shape, weights: at(first, where[name][0]), gradients: at(gradients, where[name][1]) })),
    });
    const reference = await create({ ...options, device: undefined });
    for (const [name, values] of Object.entries(parts(START))) write(first, where[name][0], values);
    optimizer.initSynced();
    let weights = { w: at(first, where.w[0]), b: at(first, where.b[0]) };
    for (let step = 0; step < 12; step++) {
      const values = parts(gradient(await row(reference)));
      for (const [name, each] of Object.entries(values)) {
        reference.setGradient(name, each);
        // Each step has its gradients at another place.
        const place = at(gradients, where[name][1] + 4 * (step % 3));
        write(gradients, place.offset, each);
        optimizer.borrow([{ name, gradients: place }]);
      }
      reference.step();
      optimizer.step();
      if (step === 5) {
        // The weights move, too: here by a copy.
        const encoder = device.createCommandEncoder();
        const moved = { w: at(second, 512), b: at(second, 12) };
        for (const { name, shape } of TENSORS) {
          const size = 4 * shape.reduce((all, each) => all * each, 1);
          encoder.copyBufferToBuffer(weights[name].buffer, weights[name].offset, moved[name].buffer, moved[name].offset, size);
        }
        device.queue.submit([encoder.finish()]);
        weights = moved;
        optimizer.borrow(NAMES.map((name) => ({ name, weights: weights[name] })));
      }
    }
    assert(`${await row(optimizer)}` === `${await row(reference)}`, 'the bits are those of tensors of its own');
    const slow = (each) => row(each, (name) => each.slowWeights(name));
    assert(`${await slow(optimizer)}` === `${await slow(reference)}`, 'and the slow weights');
    const [slice] = optimizer.weightSlices('w');
    assert(slice.buffer === second && slice.offset === 512, 'the slices are the page\'s');
    const before = await row(optimizer);
    const readOnly = device.createBuffer({ size: 64, usage: GPUBufferUsage.COPY_DST });
    const mapped = device.createBuffer({ size: 64, usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC, mappedAtCreation: true });
    const refused = [];
    for (const [place, kind, message] of [
      [at(second, 6), 'Range', /multiple of 4/], [at(second, 1020), 'Range', /ends past the buffer/],
      [at(readOnly, 0), 'Range', /lacks the usage STORAGE/], [at(mapped, 0), 'Argument', /the buffer is mapped/],
      [at(second, 512), 'Overlap', /./], [{ offset: 0 }, 'Argument', /`buffer` must be a GPUBuffer/],
      [at(second, 0.5), 'Argument', /`offset` must be a whole number/], [at({}, 0), 'Argument', /`buffer` must be a GPUBuffer/],
    ]) refused.push(await thrown(() => optimizer.borrow([{ name: 'w', gradients: place }]), kind, message));
    await thrown(() => optimizer.borrow([{ name: 'x', gradients: at(second, 0) }]), 'UnknownName', /`x`/);
    await thrown(() => reference.borrow([]), 'Argument', /created on buffers of the page's/);
    await thrown(() => Optimizer.create({ ...options, device: undefined, tensors: [{ name: 'w', shape: [2], weights: at(second, 0), gradients: at(second, 16) }] }),
      'Argument', /need the `device`/);
    await thrown(() => Optimizer.create({ ...options, tensors: [{ name: 'w', shape: [2], gradients: at(second, 16) }] }),
      'Argument', /the tensor `w` has `gradients` and no `weights`/);
    assert(`${await row(optimizer)}` === `${before}`, 'what was refused has changed nothing');
    optimizer.step();
    reference.step();
    assert(`${await row(optimizer)}` === `${await row(reference)}`, 'and it goes on');
    // A buffer that the page destroys is told at the next call, and the rest goes on.
    gradients.destroy();
    optimizer.step();
    await device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    refused.push(await thrown(() => optimizer.step(), 'Device', /a call before this one.*destroyed/i));
    optimizer.borrow(NAMES.map((name) => ({ name, gradients: at(second, where[name][1]) })));
    optimizer.step();
    assert((await row(optimizer)).every(Number.isFinite), 'with other gradients');
    for (const each of [optimizer, reference]) each.destroy();
    assert(second.size === 1024 && await device.popErrorScope().catch(() => 'none') === 'none', 'no scope is left');
    device.destroy();
    return refused[0];
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
    assert(/`step` while `readAll`, `save`, `counters`, `alphas`, `accelerations` or `skipped` is under way; await it first/.test(refused), `refused: ${refused}`);
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

  async 'takes a rule of the page\'s own, and a schedule that is a function'() {
    const wgsl = `struct Hyper { momentum: f32, gain: f32 }
      fn update(w: vec4f, g: vec4f) -> vec4f {
        let b = hyper.momentum * state[0] + hyper.gain * g;
        state[0] = b;
        return w - control.lr * b;
      }`;
    const own = { name: 'mine', wgsl, lr: 0.1, slots: [{ name: 'buffer' }] };
    const lookahead = { k: 4, policy: 'reset' };
    const counts = [];
    // The gain of the first gradient is 1, as PyTorch has it.
    const hyper = (count) => { counts.push(count); return [0.9, 1]; };
    const optimizers = await Promise.all([
      create({ rule: { name: 'sgd', lr: 0.1, momentum: 0.9 }, lookahead, schedule: { steps: [[5, 0.5]] } }),
      create({ rule: { ...own, hyper: [0.9, 1] }, lookahead, schedule: (step) => (step < 5 ? 1 : 0.5) }),
      create({ rule: { ...own, hyper }, lookahead, schedule: 'constant' }),
    ]);
    optimizers[2].setSchedule((step) => (step < 5 ? 1 : 0.5));
    for (const optimizer of optimizers) await train(optimizer, 11);
    const [expected, ...found] = await Promise.all(optimizers.map((optimizer) => row(optimizer)));
    for (const each of found) near(each, expected, 'weights');
    assert(counts.includes(1) && counts.every((count) => count >= 1 && count < 40), `${counts}`);
    assert(optimizers[1].learningRate() === 0.05, `${optimizers[1].learningRate()}`);
    const decayed = await create({ rule: { ...own, hyper: [0, 1], weightDecay: { decoupled: 0.5 } } });
    await train(decayed, 1);
    near(await row(decayed), gradient(START).map((g, i) => START[i] * 0.95 - 0.1 * g), 'decayed');
    const checkpoint = await optimizers[1].save();
    optimizers[2].load(checkpoint);
    assert(`${await row(optimizers[2])}` === `${await row(optimizers[1])}`, 'a checkpoint of it comes back');
    const wrong = (rule, kind, message) => thrown(() => create({ rule: { ...own, ...rule } }), kind, message);
    const told = await wrong({ hyper: [0.9, 1], wgsl: wgsl.replace('state[0] = b;', 'state[0] = c;') }, 'Shader', /the WGSL of the rule `mine` is wrong at line \d+: .*c/s);
    await wrong({ hyper: ['a'] }, 'Argument', /the rule: `hyper\[0\]`: .*expected f64/);
    await wrong({ hyper: [0.9, NaN] }, 'Rule', /`mine`/);
    await wrong({ hyper: () => { throw new Error('no'); } }, 'Rule', /`mine`/);
    await wrong({ hyper: [1], lr: undefined }, 'Argument', /missing field `lr`/);
    await wrong({ hyper: [1], speed: 3 }, 'Argument', /there is no option `speed`/);
    optimizers[1].setSchedule(() => { throw new Error('no'); });
    await thrown(() => optimizers[1].step(), 'LearningRate', /./);
    for (const optimizer of [...optimizers, decayed]) optimizer.destroy();
    return told.split('\n')[0];
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
    optimizer.initSynced();
    same(await optimizer.slowWeights('w'), Array(6).fill(7), 'initialised anew');
    optimizer.destroy();
  },

  // Faults: it is `syncNow`, at the next step's learning rate; the page's encoder is left out; the first of two calls is not all.
  async 'synchronises where it is called as the last step would have'() {
    const device = await pageDevice();
    const options = { device, rule: { name: 'sgd', lr: 0.1 }, outer: { slowMo: 0.5 }, schedule: { steps: [[3, 0.5], [6, 0.1]] } };
    const run = async (k, sync) => {
      const optimizer = await create({ ...options, lookahead: { k } });
      for (let cycle = 0; cycle < 3; cycle++) {
        await train(optimizer, 3);
        sync(optimizer);
        assert(optimizer.position() === 0, `${optimizer.position()}`);
      }
      const found = await row(optimizer);
      same(await row(optimizer, (name) => optimizer.slowWeights(name)), found, 'synchronised');
      return found;
    };
    const [never, expected] = [2 ** 32 - 1, await run(3, () => {})];
    same(await run(never, (optimizer) => optimizer.syncLastStep()), expected, 'the bits of syncs in the steps');
    same(await run(never, (optimizer) => {
      const encoder = device.createCommandEncoder();
      optimizer.syncLastStep(encoder);
      optimizer.syncLastStep(encoder);
      device.queue.submit([encoder.finish()]);
    }), expected, 'into the page\'s encoder, and twice');
    const next = await run(never, (optimizer) => optimizer.syncNow());
    assert(difference(next, expected) > 1e-3, 'at the next step\'s learning rate it is another');
    device.destroy();
  },

  // Faults: a readback for each tensor; tensors in another order; steps are not refused meanwhile.
  async 'reads all tensors at once'() {
    const tensors = [...TENSORS.toReversed(), ...Array.from({ length: 20 }, (_, i) => ({ name: `t${i}`, shape: [i + 1] }))];
    const optimizer = await create({ rule: { name: 'adam', lr: 0.1 }, lookahead: { k: 2 }, tensors });
    tensors.forEach(({ name, shape }) => {
      if (name.startsWith('t')) optimizer.setWeights(name, Array.from({ length: shape[0] }, (_, i) => i + shape[0]));
    });
    await train(optimizer, 3);
    const { mapAsync } = GPUBuffer.prototype;
    let waits = 0;
    const counting = function (...given) {
      waits += 1;
      return mapAsync.apply(this, given);
    };
    for (const field of ['weights', 'slow_weights', 'state.exp_avg_sq']) {
      const all = await patched([[GPUBuffer.prototype, 'mapAsync', counting]], () => optimizer.readAll(field));
      assert(all.length === tensors.length && all.every((values) => values instanceof Float32Array), `${all.length} arrays`);
      for (const [i, { name }] of tensors.entries()) same(all[i], await optimizer.read(field, name), `${field} of ${name}`);
    }
    assert(waits === 3, `${waits} waits for 3 reads of ${tensors.length} tensors`);
    const reading = optimizer.readAll('weights');
    await thrown(() => optimizer.step(), 'Argument', /`step` while `readAll`, .* is under way; await it first/);
    same((await reading)[1], await optimizer.weights('w'), 'and nothing else is');
    await thrown(() => optimizer.readAll('weight'), 'Argument', /there is no field `weight`; `weights` is one/);
    await thrown(() => optimizer.readAll('average'), 'UnknownName', /./);
    await thrown(() => optimizer.readAll(3), 'Argument', /^`field` of `readAll` must be a text/);
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
    await thrown(() => optimizer.position(), 'Guarded', /`counters`/);
    const counters = { steps: 3, skipped: 1, lossScale: 1, groups: [{ name: 'default', count: 3, position: 3, task: 0 }] };
    const found = JSON.stringify(await optimizer.counters());
    assert(found === JSON.stringify(counters), found);
    await train(optimizer, 1);
    assert(difference(await row(optimizer), before) > 1e-3, 'it goes on');
    optimizer.destroy();
  },

  async 'keeps half-width copies of weights, takes half-width gradients, and rounds slow weights'() {
    const plain = await create({ rule: { name: 'sgd', lr: 0.1 }, lookahead: { k: 2 } });
    for (const [halfWeights, halfGradients, within] of [['f16', 'bf16', 2 ** -8], ['bf16', 'f16', 2 ** -10]]) {
      const half = await create({ rule: { name: 'sgd', lr: 0.1 }, lookahead: { k: 2 }, halfWeights, halfGradients, slowBf16: true });
      for (const [name, size] of [['w', 12], ['b', 8]]) {
        const slices = [half.halfWeightSlices(name), half.gradientSlices(name)];
        assert(slices.every(([slice]) => slice.size === size), `two values a word: ${JSON.stringify(slices)}`);
      }
      half.setGradient('b', [1.5, -0.25, 1 / 3]);
      const [exact, , third] = await half.read('gradients', 'b');
      assert(exact === 1.5 && third !== 1 / 3 && Math.abs(third * 3 - 1) < within, `${halfGradients}: ${third}`);
      await thrown(() => half.setGradient('b', [1, 2]), 'Length', /the tensor `b` has 3 elements, and 2/);
      await thrown(() => half.setGradient('b', [1, 2, 3, 4]), 'Length', /the tensor `b` has 3 elements, and 4/);
      half.setGradient('w', Array(6).fill(0.5));
      half.setGradient('b', [0.5, 1, 2]);
      half.step();
      near(await half.weights('b'), [0.05, 0.1, 0.2].map((step, i) => parts(START).b[i] - step), 'a step with gradients that are exact');
      half.destroy();
    }
    const careless = await create({ rule: { name: 'sgd', lr: 0.1 }, lookahead: { k: 2 }, slowBf16: true });
    await train(careless, 10);
    await train(plain, 10);
    assert(difference(await row(careless), await row(plain)) < 0.1, 'slow weights are rounded, not lost');
    await thrown(() => plain.halfWeightSlices('w'), 'UnknownName', /half/);
    await thrown(() => plain.curvatureSlices('w'), 'UnknownName', /curvature/);
    assert(plain.lossScaleSlices().length === 0, 'no guard, no loss scale');
    for (const optimizer of [plain, careless]) optimizer.destroy();
    const given = await create({ rule: { name: 'sgd', lr: 0.1 }, lookahead: {}, adaptiveAlpha: { alphaLow: 0.2, curvature: 'given' } });
    assert(given.curvatureSlices('w')[0].size === 24, 'where the curvature is written');
    await thrown(() => given.fullGradientSlices('w'), 'UnknownName', /full_gradients/);
    await thrown(() => create({ rule: { name: 'sgd', lr: 0.1 }, varianceReduced: true }), 'NoLookahead', /variance reduction/);
    const reduced = await create({ rule: { name: 'sgd', lr: 0.1 }, lookahead: { k: 2, alpha: 1 }, varianceReduced: true });
    const due = [];
    for (let step = 0; step < 4; step++) {
      due.push(reduced.fullGradientsDue());
      reduced.step();
    }
    assert(due.join() === 'true,false,true,false', 'the full gradient is due with each cycle');
    for (const slices of [reduced.snapshotGradientSlices('w'), reduced.fullGradientSlices('w')]) {
      assert(slices[0].size === 24, 'where the gradients at the slow weights are written');
    }
    reduced.destroy();
    given.destroy();
  },

  async 'scales the loss, and lowers the scale where it overflows'() {
    const rule = { name: 'adam', lr: 0.1 };
    const lossScale = { initial: 1024, interval: 4 };
    const [scaled, plain] = [await create({ rule, lookahead: {}, guard: { lossScale } }), await create({ rule, lookahead: {} })];
    const scale = (await scaled.counters()).lossScale;
    assert(scale === 1024, `${scale}`);
    const [slice] = scaled.lossScaleSlices();
    assert(slice.size === 4 && slice.offset % 256 === 0, 'one number, to be bound');
    const gradients = parts([1, -2, 3, -4, 5, -6, 7, -8, 9]);
    for (let step = 0; step < 3; step += 1) {
      for (const [name, values] of Object.entries(gradients)) {
        plain.setGradient(name, values);
        scaled.setGradient(name, values.map((value) => value * scale));
      }
      for (const optimizer of [plain, scaled]) optimizer.step();
    }
    same(await row(scaled), await row(plain), 'divided by the scale');
    scaled.setGradient('b', [0, Infinity, 0]);
    scaled.step();
    same(await row(scaled), await row(plain), 'skipped');
    const counters = await scaled.counters();
    assert(counters.lossScale === 512 && counters.skipped === 1, JSON.stringify(counters));
    scaled.setGradient('b', [0, 1, 0]);
    for (let step = 0; step < 4; step += 1) scaled.step();
    assert((await scaled.counters()).lossScale === 1024, 'raised again');
    const standard = await create({ rule, guard: { lossScale: true } });
    assert((await standard.counters()).lossScale === 65536, 'as PyTorch begins');
    for (const optimizer of [scaled, plain, standard]) optimizer.destroy();
  },

  async 'groups override any hyperparameter'() {
    const groups = (group) => ({ groups: [{ name: 'g', ...group }], tensors: [{ name: 'w', shape: [6] }, { name: 'b', shape: [3], group: 'g' }] });
    const rule = { name: 'adam', lr: 0.1, weightDecay: 0.1 };
    for (const [group, whole] of [
      [{ hyperparameters: { betas: [0.8, 0.9], amsgrad: true } }, { ...rule, betas: [0.8, 0.9], amsgrad: true }],
      [{ learningRate: 0.5, hyperparameters: { eps: 0.1 } }, { ...rule, lr: 0.5, eps: 0.1 }],
      [{ rule: { name: 'nadam' }, hyperparameters: { beforeTorch2: true } }, { name: 'nadam', beforeTorch2: true }],
    ]) {
      const [over, own] = [await create({ rule, ...groups(group) }), await create({ rule, ...groups({ rule: whole }) })];
      for (const optimizer of [over, own]) await train(optimizer, 4);
      same(await row(over), await row(own), JSON.stringify(group));
      for (const optimizer of [over, own]) optimizer.destroy();
    }
    const up = await create({ rule: { name: 'sgd', lr: 1 }, ...groups({ maximize: true }) });
    up.setWeights('b', [0, 0, 0]);
    up.setGradient('b', [1, 2, 3]);
    up.step();
    same(await up.weights('b'), [1, 2, 3], 'upwards');
    up.destroy();
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
    for (const bytes of asBytes(saved)) {
      second.load(bytes);
      same(await second.save(), saved, `loaded from ${bytes.constructor.name}`);
      await train(second, 1);
    }
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
      [{ rule, tensors, lookahead: { k: 5e9 } }, 'Argument', /^the optimizer's options: `lookahead.k`: .*5000000000.*expected u32/],
      [{ rule, tensors, half_weights: 'f16' }, 'Argument', /there is no option `half_weights`/],
      [{ rule, tensors, halfWeights: 'f8' }, 'Argument', /`halfWeights`: unknown variant `f8`, expected one of `f16`, `bf16`/],
      [{ rule, tensors, guard: 'yes' }, 'Argument', /`guard`: .*"yes".*true, false, or an object of settings/],
      [{ rule, tensors, guard: { lossScale: { scale: 2 } } }, 'Argument', /`guard.lossScale`: there is no option `scale`/],
      [{ rule, tensors, guard: { check_updates: true } }, 'Argument', /there is no option `check_updates`/],
      [{ rule, tensors, guard: { lossScale: { initial: 0 } } }, 'Hyperparameter', /^initial loss scale = 0 is not allowed/],
      [{ rule, tensors, groups: [{ name: 'a' }, { name: 'b', k: 'x' }] }, 'Argument', /`groups\[1\].k`: .*"x"/],
      [{ rule, tensors, groups: [{ name: 'a', hyperparameters: { momentum: 1 } }] }, 'Argument', /the rule `adam` has no `momentum`; it has: /],
      [{ rule, tensors, groups: 5 }, 'Argument', /`groups`: .*expected an array/],
      [{ rule: { name: 'nadam', before_torch_2: true }, tensors }, 'Argument', /has no `before_torch_2`; it has: .*`beforeTorch2`/],
      [{ rule, tensors, outer: { nesterov: 0.5, slowMo: 0.5 }, lookahead: {} }, 'Argument', /`outer`: .*expected one of `interpolation`, `heavyBall`/],
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
      ...nothing('lookahead', 'groups', 'schedule', 'clip', 'adaptiveAlpha', 'outer', 'average', 'accumulate', 'centralise', 'maximize', 'gradientNorms', 'guard'),
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
      [() => optimizer.syncLastStep(), 'NoLookahead', /./],
      [() => optimizer.swapAverage(), 'UnknownName', /there is no average .*: build with `average`/],
      [() => optimizer.beginAverage(), 'UnknownName', /there is no average .*: build with `average`/],
      [() => new NonMonotone(0.5), 'Argument', /^the interval of `NonMonotone` must be a whole number from 0, and is 0.5$/],
      [() => new NonMonotone().observe('1'), 'Argument', /^`loss` of `observe` must be a number, and is the text "1"$/],
      [() => NonMonotone.from({ interval: 1 }), 'Argument', /^`saved` of `from` must be what `toJSON` of a `NonMonotone` gave$/],
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

  async 'begins an average when a trigger fires'() {
    // As the published rule says, of every evaluation.
    const fires = (losses, n, t) => losses.slice(0, Math.max(t - n, 0)).some((loss) => losses[t] > loss);
    let seed = 1;
    const random = () => { seed = (seed * 48271) % 2147483647; return seed % 20; };
    for (let n = 0; n < 6; n++) {
      for (let round = 0; round < 20; round++) {
        const losses = Array.from({ length: 12 }, (_, t) => 40 - 3 * t + random());
        let trigger = new NonMonotone(n);
        const found = losses.map((loss) => {
          trigger = NonMonotone.from(JSON.parse(JSON.stringify(trigger)));
          return trigger.observe(loss);
        });
        const first = losses.findIndex((_, t) => fires(losses, n, t));
        assert(found.indexOf(true) === first && found.filter(Boolean).length === Number(first >= 0), `${n}: ${losses}`);
        assert(trigger.hasTriggered === first >= 0, 'has triggered');
      }
    }
    assert(!new NonMonotone(0).observe(NaN) && new NonMonotone().toJSON().interval === 5, 'no loss, and the paper\'s n');
    const optimizer = await create({ rule: { name: 'sgd', lr: 0.1 }, lookahead: { k: 3 }, average: { polyak: {} } });
    await train(optimizer, 4);
    optimizer.beginAverage();
    assert(optimizer.position() === 1, 'the cycle goes on');
    same(await row(optimizer, (name) => optimizer.read('average', name)), await row(optimizer), 'a copy');
    const after = [];
    for (let step = 0; step < 3; step++) {
      await train(optimizer, 1);
      after.push(await row(optimizer));
    }
    const mean = after[0].map((_, i) => after.reduce((sum, weights) => sum + weights[i], 0) / 3);
    near(await row(optimizer, (name) => optimizer.read('average', name)), mean, 'the mean since then');
    optimizer.destroy();
  },

  async 'moves the slow weights towards the mean of several tasks'() {
    const optimizer = await create({ rule: { name: 'sgd', lr: 0.5 }, lookahead: { k: 2, alpha: 0.5, tasks: 3 } });
    const ends = [];
    for (let task = 0; task < 3; task++) {
      for (let step = 0; step < 2; step++) {
        assert(optimizer.task() === task && optimizer.position() === step, `${optimizer.task()}, ${optimizer.position()}`);
        for (const [name, values] of Object.entries(parts(START))) optimizer.setGradient(name, values.map((value) => value * (task + 1)));
        optimizer.step();
      }
      ends.push(START.map((value) => value - 2 * 0.5 * value * (task + 1)));
    }
    const mean = START.map((_, i) => (ends[0][i] + ends[1][i] + ends[2][i]) / 3);
    near(await row(optimizer), START.map((value, i) => 0.5 * (value + mean[i])), 'half of the way to their mean');
    assert(optimizer.task() === 0 && (await optimizer.counters()).groups[0].task === 0, 'the next round');
    optimizer.destroy();
  },

  async 'counts without a guard, too, and by group'() {
    const groups = [{ name: 'biases', k: 2 }];
    const tensors = [{ name: 'w', shape: [2] }, { name: 'b', shape: [2], group: 'biases' }];
    const optimizer = await Optimizer.create({ rule: { name: 'sgd', lr: 1 }, lookahead: { k: 4 }, groups, tensors });
    for (let step = 0; step < 3; step++) optimizer.step();
    const counting = optimizer.counters();
    const of = (name, position) => ({ name, count: 3, position, task: 0 });
    const found = JSON.stringify(await counting);
    assert(found === JSON.stringify({ steps: 3, skipped: 0, lossScale: 1, groups: [of('default', 3), of('biases', 1)] }), found);
    optimizer.destroy();
  },

  async 'takes a step with the micro-batches that are there, or without them'() {
    const one = { rule: { name: 'sgd', lr: 1 }, tensors: [{ name: 'w', shape: [2] }], accumulate: { microBatches: 4 } };
    const optimizer = await Optimizer.create(one);
    optimizer.setGradient('w', [1, 1]);
    assert(optimizer.flush() === false && optimizer.discard() === 0, 'nothing is accumulated');
    for (let step = 0; step < 6; step++) optimizer.step();
    assert(optimizer.flush() === true, 'two are');
    same(await optimizer.weights('w'), [-2, -2], 'two steps');
    optimizer.step();
    await thrown(() => optimizer.setFrozen(true), 'Accumulating', /1 of 4 micro-batches are accumulated/);
    assert(optimizer.discard() === 1 && optimizer.flush() === false, 'forgotten');
    same(await optimizer.weights('w'), [-2, -2], 'as before');
    optimizer.destroy();
  },

  async 'maximises, and tells gradient norms and alphas'() {
    const tensors = [{ name: 'w', shape: [2] }];
    const rule = { name: 'sgd', lr: 1 };
    const optimizer = await Optimizer.create({
      rule, tensors, maximize: true, gradientNorms: true, lookahead: { k: 1 }, adaptiveAlpha: { alphaLow: 0.2, gradient: 'lastStep' },
    });
    assert(JSON.stringify(await optimizer.gradientNorms()) === '[0]', 'no norm yet');
    optimizer.setGradient('w', [3, 4]);
    optimizer.step();
    assert((await optimizer.weights('w'))[0] > 0, 'upwards');
    near(await optimizer.gradientNorms(), [5], 'the norm');
    const [alpha] = await optimizer.alphas();
    assert(alpha === null || (alpha >= 0.2 && alpha <= 1), `${alpha}`);
    optimizer.destroy();
    const plain = await Optimizer.create({ rule, tensors });
    assert((await plain.gradientNorms()).length === 0 && (await plain.alphas()).length === 0, 'none are taken');
    plain.destroy();
    const careful = await Optimizer.create({ rule: { name: 'adam', lr: 1, eps: 0 }, tensors, guard: { checkUpdates: true } });
    careful.setWeights('w', [1, 1]);
    careful.step();
    same(await careful.weights('w'), [1, 1], 'an update that is not finite');
    assert(await careful.skipped() === 1, 'is skipped');
    careful.destroy();
  },

  async 'what is set while training is told, and comes back with a checkpoint'() {
    const options = { rule: { name: 'adam', lr: 0.1 }, lookahead: { k: 2 }, groups: [{ name: 'still' }],
      tensors: [{ name: 'w', shape: [6] }, { name: 'b', shape: [3], group: 'still' }] };
    const change = (optimizer) => {
      optimizer.setFrozen(true, 'still');
      optimizer.setK(3);
      optimizer.setAlpha(0.75);
      optimizer.setLearningRateFactor(0.5);
      optimizer.setRule({ name: 'adam', lr: 0.05, betas: [0.8, 0.99] });
      optimizer.setWeightDecay(0.01);
      optimizer.setSchedule({ steps: [[6, 0.5]] });
    };
    const told = (optimizer) => JSON.stringify([optimizer.isFrozen('still'), optimizer.isFrozen(), optimizer.k(), optimizer.alpha(),
      optimizer.learningRateFactor(), optimizer.baseLearningRate(), optimizer.weightDecay(), optimizer.learningRate()]);
    const first = await create(options);
    await train(first, 4);
    change(first);
    await train(first, 1);
    const expected = JSON.stringify([true, false, 3, 0.75, 0.5, 0.05, 0.01, 0.025]);
    assert(told(first) === expected, told(first));
    const saved = await first.save();
    // Tensors and groups are matched by name.
    const second = await create({ ...options, tensors: options.tensors.toReversed() });
    second.load(saved);
    assert(told(second) === expected, told(second));
    for (const optimizer of [first, second]) await train(optimizer, 4);
    same(await row(second), await row(first), 'unbroken and resumed');
    const third = await create(options);
    third.load(saved, { keepSettings: true });
    assert(third.isFrozen('still') === false && third.k() === 2, told(third));
    await thrown(() => first.setRule({ name: 'sgd', lr: 1 }), 'Rule', /is another than the group's/);
    await thrown(() => first.setSchedule({ steps: [[6, -1]] }), 'Hyperparameter', /step decay factor/);
    first.setSchedule();
    for (const optimizer of [first, second, third]) optimizer.destroy();
  },

  async 'a checkpoint of the rule alone becomes Lookahead\'s, and back'() {
    const rule = { name: 'adam', lr: 0.1 };
    const alone = await create({ rule });
    await train(alone, 3);
    const saved = await alone.save();
    const around = await create({ rule, lookahead: {}, average: { ema: 0.9 } });
    await thrown(() => around.load(saved), 'Snapshot', /begin_lookahead/);
    await thrown(() => around.load(saved, { beginLookahed: true }), 'Argument', /there is no option `beginLookahed`/);
    await thrown(() => around.load(saved, 5), 'Argument', /`options` of `load` must be an object/);
    around.load(saved, { beginLookahead: true, beginAverage: true });
    same(await row(around, (name) => around.slowWeights(name)), await row(alone), 'slow weights start as the weights');
    assert(around.position() === 0 && around.steps === 3, 'a cycle begins');
    await train(around, 2);
    const back = await around.save();
    const fast = await row(around);
    alone.load(back, { endLookahead: 'fast', endAverage: true });
    same(await row(alone), fast, 'the fast weights');
    for (const optimizer of [alone, around]) optimizer.destroy();
  },

  async 'what is not an argument is refused in words, at every call'() {
    const optimizer = await create({ rule: { name: 'adam' }, lookahead: {} });
    await train(optimizer, 1);
    const before = await optimizer.save();
    const detached = new Float32Array(6);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const hostile = { get length() { throw new Error('mine'); } };
    const trap = new Proxy([1, 2, 3], { get() { throw new Error('mine'); } });
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    const nameless = { get [Symbol.toStringTag]() { throw new Error('mine'); } };
    // What every kind of argument refuses.
    const never = [null, 5n, true, Symbol('x'), {}, () => 0, new Date(0), hostile, Object.create(null), revoked, nameless];
    const cases = [];
    const refused = (call, values, message) => {
      values.forEach((value, i) => cases.push([() => call(value), 'Argument', message, `${message} with value ${i}`]));
    };
    const named = ['setWeights', 'setGradient', 'weightSlices', 'gradientSlices', 'slowWeightSlices', 'halfWeightSlices', 'curvatureSlices',
      'snapshotGradientSlices', 'fullGradientSlices',
      'weights', 'slowWeights'];
    for (const name of named) {
      const what = new RegExp(`^\`tensor\` of \`${name}\` must be a text, and is `);
      refused((value) => optimizer[name](value, new Float32Array(6)), [...never, undefined, 3, ['w'], new String('w')], what);
    }
    refused((value) => optimizer.read(value, 'w'), [...never, undefined, 3], /^`field` of `read` must be a text, and is /);
    refused((value) => optimizer.read('weights', value), [...never, undefined, 3], /^`tensor` of `read` must be a text/);
    for (const name of ['setWeights', 'setGradient']) {
      const what = new RegExp(`^\`values\` of \`${name}\` `);
      const numbers = [1, 2, 3, 4, 5];
      refused((value) => optimizer[name]('w', value), [...never, undefined, 3, '12', '123456', new ArrayBuffer(24),
        new DataView(new ArrayBuffer(24)), new BigInt64Array(6), new Set([1, 2]), { length: 6 }, trap, Array(6),
        Object.create(Float32Array.prototype), new Proxy(new Float32Array(6), {}),
        ...['6', null, undefined, true, 6n, [6], {}].map((last) => [...numbers, last])], what);
    }
    for (const name of ['setLearningRate', 'setK', 'setAlpha', 'setLearningRateFactor', 'setWeightDecay']) {
      const what = new RegExp(`^\`(lr|k|alpha|factor|decay)\` of \`${name}\` must be a number, and is `);
      refused((value) => optimizer[name](value), [...never, undefined, '0.1', '', [0.1], new Number(1)], what);
      refused((value) => optimizer[name](0.5, value), [...never, 3, ['default']].filter((value) => value !== null),
        new RegExp(`^\`group\` of \`${name}\` must be a text, and is `));
    }
    refused((value) => optimizer.setFrozen(value), [...never.filter((value) => value !== true), undefined, 3, 'true'],
      /^`frozen` of `setFrozen` must be true or false, and is /);
    refused((value) => optimizer.setRule(value), [null, undefined, 3, 'adam', true, 5n, () => 0], /^`rule` of `setRule` must be an object/);
    refused((value) => optimizer.setRule(value), [{}, [], { name: 'adm' }], /^(the rule: |a rule needs a name|there is no rule)/);
    refused((value) => optimizer.setSchedule(value), [3, 'cosine', true, 5n], /^`schedule` of `setSchedule` must be an object or a function/);
    refused((value) => optimizer.setSchedule(value), [{}, { cosine: 5 }, { steps: [1] }, { steps: [[1, 0.1, 3]] }, { steps: [[1]] }, { steps: [[1.5, 0.1]] },
      { steps: [[-1, 0.1]] }, { steps: [[2 ** 53, 0.1]] }], /^the schedule: /);
    for (const name of ['position', 'learningRate', 'baseLearningRate', 'learningRateFactor', 'weightDecay', 'isFrozen', 'k', 'alpha']) {
      refused((value) => optimizer[name](value), [5n, 3, {}, [], hostile], new RegExp(`^\`group\` of \`${name}\` must be a text`));
    }
    refused((value) => optimizer.load(value), [...never, undefined, 3, 'text', [1, 2], new Blob([before])],
      /^`checkpoint` of `load` (must be an ArrayBuffer, or a view of one|could not be read: )/);
    refused((value) => Optimizer.create(value), [...never.filter((value) => typeof value !== 'object' || value === null), undefined, 3, 'adam'],
      /^the optimizer's options: they must be an object, as /);
    const deep = { rule: [[[[[[[[]]]]]]]] };
    const circular = { rule: { name: 'adam' } };
    circular.tensors = circular;
    refused((value) => Optimizer.create(value), [[], {}, trap, deep, circular, { get rule() { throw new Error('mine'); } },
      { rule: hostile, tensors: TENSORS }, { rule: { name: Symbol('x') }, tensors: TENSORS },
      { rule: { name: 'adam' }, tensors: 'w' }, { rule: { name: 'adam' }, tensors: [null] }, { rule: null, tensors: TENSORS },
      { rule: { name: 'adam' }, tensors: TENSORS, lookahead: 5 }, { rule: { name: 'adam' }, tensors: TENSORS, guard: 'yes' },
      { rule: { name: 'adam' }, tensors: [{ name: 'w', shape: 'ab' }] }, { rule: { name: 'adam' }, tensors: [{ name: 'w', shape: [1.5] }] }],
      /^(the optimizer's options|a rule needs a name|`lr` of the rule)/);
    cases.push([() => optimizer.setWeights('w', detached), 'Length', /has 6 elements, and 0 were given/]);
    cases.push([() => new Optimizer(), 'Argument', /^an optimizer is made by `await Optimizer.create/]);
    for (const other of [undefined, null, {}, 3, Optimizer.prototype]) {
      cases.push([() => Optimizer.prototype.step.call(other), 'Argument', /^`step` is an optimizer's: call it as `optimizer.step`/]);
      cases.push([() => Optimizer.prototype.weights.call(other, 'w'), 'Argument', /^`weights` is an optimizer's/]);
    }
    cases.push([() => Optimizer.prototype.memory, 'Argument', /^`memory` is an optimizer's/]);
    const failures = [];
    for (const [call, kind, message, place] of cases) {
      try {
        await thrown(call, kind, message);
      } catch (error) {
        failures.push(`${place}: ${error.message}`);
      }
    }
    assert(failures.length === 0, failures.join('\n'));
    same(await optimizer.save(), before, 'nothing has changed');
    optimizer.destroy();
    return `${cases.length} cases`;
  },

  async 'takes numbers in arrays of every kind'() {
    const optimizer = await create({ rule: { name: 'sgd', lr: 1 } });
    const values = [1, 2, 3, 4, 5, 6];
    const frame = document.body.appendChild(document.createElement('iframe'));
    for (const given of [values, Object.freeze([...values]), new Float64Array(values), new Int8Array(values), new Uint32Array(values),
      new frame.contentWindow.Float32Array(values), frame.contentWindow.Array.from(values)]) {
      optimizer.setWeights('w', [0, 0, 0, 0, 0, 0]);
      optimizer.setWeights('w', given);
      same(await optimizer.weights('w'), values, Object.prototype.toString.call(given));
    }
    optimizer.setGradient('w', [NaN, Infinity, -Infinity, -0, 1e-40, 1e300]);
    optimizer.destroy();
  },

  async 'a freed optimizer says so, at every call'() {
    const optimizer = await create({ rule: { name: 'adam' }, lookahead: {} });
    const { device } = optimizer;
    optimizer.free();
    const all = Object.getOwnPropertyNames(Optimizer.prototype).filter((name) => !['constructor', 'free'].includes(name));
    for (const name of all) {
      const getter = Object.getOwnPropertyDescriptor(Optimizer.prototype, name).get;
      await thrown(() => getter ? optimizer[name] : optimizer[name]('w', [1]), 'Freed',
        new RegExp(`^\`${name}\` of an optimizer that was freed; create a new one$`));
    }
    optimizer.free();
    if (Symbol.dispose) optimizer[Symbol.dispose]();
    device.destroy();
    // What was under way is not lost.
    const other = await create({ rule: { name: 'adam' } });
    const [reading, saving, deviceOfOther] = [other.weights('b'), other.save(), other.device];
    other.free();
    near(await reading, START.slice(6), 'read');
    assert((await saving).length > 0, 'saved');
    deviceOfOther.destroy();
    return `${all.length} calls`;
  },

  async 'calls that wait give promises, whatever is wrong'() {
    const optimizer = await create({ rule: { name: 'adam' } });
    const calls = ['weights', 'slowWeights', 'read', 'readAll', 'save', 'counters', 'gradientNorms', 'alphas', 'skipped', 'lost'];
    const each = (run) => Promise.all(calls.map((name) => {
      const promise = optimizer[name](null, null);
      assert(promise instanceof Promise, `${name} gives ${promise}`);
      return run(promise, name);
    }));
    await each((promise, name) => name === 'lost' || promise.catch(() => {}));
    optimizer.destroy();
    optimizer.free();
    await each((promise, name) => thrown(() => promise, 'Freed', new RegExp(name)));
  },

  async 'what the browser throws is told, others go on, and the next optimizer works'() {
    const bystander = await create({ rule: { name: 'adam' }, lookahead: {} });
    await train(bystander, 2);
    const device = GPUDevice.prototype;
    const { createBuffer } = device;
    const mapped = function (descriptor) {
      if (descriptor.mappedAtCreation) throw new RangeError('no mapped buffer today');
      return createBuffer.call(this, descriptor);
    };
    const options = { rule: { name: 'sgd', lr: 1 }, lookahead: {} };
    // Nothing is mapped as it is made, so that this is nothing to it.
    const filled = { rule: { name: 'adam' }, lookahead: {}, guard: true, adaptiveAlpha: { alphaLow: 0.2 }, clip: { tensorNorm: 1 } };
    await patched([[device, 'createBuffer', mapped]], async () => (await create(filled)).destroy());
    const told = [];
    for (const name of ['createBuffer', 'createShaderModule', 'createBindGroupLayout', 'createPipelineLayout', 'createComputePipelineAsync',
      'createBindGroup', 'pushErrorScope', 'popErrorScope']) {
      await patched([[device, name, throwing(name)]], async () => {
        told.push(await thrown(() => create(options), 'OutOfMemory', new RegExp(`no ${name} today`)));
      });
    }
    // After creation, and with promises under way.
    for (const [object, name, call] of [
      [device, 'createCommandEncoder', (optimizer) => optimizer.step()],
      [device, 'createBuffer', (optimizer) => optimizer.weights('w')],
      [device, 'createBuffer', (optimizer) => optimizer.save()],
      [GPUBuffer.prototype, 'mapAsync', (optimizer) => optimizer.weights('w')],
      [GPUQueue.prototype, 'submit', (optimizer) => optimizer.step()],
    ]) {
      const optimizer = await create(options);
      const waiting = optimizer.weights('b');
      const lost = optimizer.lost();
      await patched([[object, name, throwing(name)]], () => thrown(() => call(optimizer), 'OutOfMemory', new RegExp(`no ${name} today`)));
      await waiting;
      // It goes on, and what was not recorded was not counted.
      assert(optimizer.steps === (name === 'submit' ? 1 : 0), `${name}: ${optimizer.steps} steps`);
      await train(optimizer, 2);
      assert((await row(optimizer)).every(Number.isFinite) && (await optimizer.save()).length > 0, name);
      optimizer.destroy();
      assert(/destroyed/.test(await lost), name);
      optimizer.free();
    }
    await train(bystander, 2);
    assert(bystander.steps === 4 && (await row(bystander)).every(Number.isFinite), 'the one beside goes on');
    bystander.destroy();
    const next = await create(options);
    await train(next, 2);
    next.destroy();
    return told[0];
  },

  async 'a device\'s errors are the library\'s'() {
    const { createBuffer, createComputePipelineAsync } = GPUDevice.prototype;
    const invalid = function (descriptor) {
      return createBuffer.call(this, { ...descriptor, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.MAP_WRITE });
    };
    const options = { rule: { name: 'adam' } };
    await patched([[GPUDevice.prototype, 'createBuffer', invalid]], () => thrown(() => create(options), 'Device', /./));
    const wrong = function ({ compute, ...rest }) {
      return createComputePipelineAsync.call(this, { ...rest, compute: { ...compute, entryPoint: 'none' } });
    };
    await patched([[GPUDevice.prototype, 'createComputePipelineAsync', wrong]], () => thrown(() => create(options), 'Device', /none/));
    // What a driver fails at, which is neither validation nor memory.
    const internal = async () => new GPUInternalError('the driver failed');
    await patched([[GPUDevice.prototype, 'popErrorScope', internal]], () => thrown(() => create(options), 'Device', /the driver failed/));
    const memory = async () => new GPUOutOfMemoryError('none left');
    const optimizer = await create(options);
    await patched([[GPUDevice.prototype, 'popErrorScope', internal]], () => thrown(() => optimizer.weights('w'), 'Device', /the driver failed/));
    await patched([[GPUDevice.prototype, 'popErrorScope', memory]], () => thrown(() => optimizer.weights('w'), 'OutOfMemory', /reading values back: none left/));
    await patched([[GPUBuffer.prototype, 'getMappedRange', throwing('view')]], () => thrown(() => optimizer.weights('w'), 'DeviceLost', /no view today/));
    near(await row(optimizer), START, 'and it goes on');
    optimizer.destroy();
    await patched([[GPUAdapter.prototype, 'requestDevice', async () => { throw new DOMException('none today', 'OperationError'); }]],
      () => thrown(() => create(options), 'NoDevice', /none today/));
  },

  async 'compiles when it is asked, from what it is given'() {
    const url = new URL('../dist/package/lookahead_wgpu_bg.wasm', import.meta.url);
    const fresh = (name) => import(`../dist/package/module.js?${name}`);
    const bytes = await (await fetch(url)).arrayBuffer();
    const module = await WebAssembly.compile(bytes);
    for (const [name, source] of Object.entries({
      none: undefined, module, bytes, view: new Uint8Array(bytes), url, text: url.href, response: await fetch(url), promise: fetch(url),
    })) {
      const { compiled } = await fresh(name);
      const [first, second] = [compiled(source), compiled()];
      assert(await first instanceof WebAssembly.Module, name);
      assert(await first === await second, `${name}: compiled once`);
    }
    for (const [name, source, message] of [
      ['nothing', 5, /could not be compiled: it comes from .*, and 5 was given/], ['null', null, /and null was given/], ['missing', new Response('', { status: 404 }), /was answered with 404/],
      ['short', new ArrayBuffer(3), /could not be compiled: /], ['page', location.href, /could not be compiled/],
    ]) {
      const { compiled } = await fresh(name);
      await thrown(() => compiled(source), 'WebAssembly', message);
      assert(await compiled() instanceof WebAssembly.Module, `${name}: another time it works`);
    }
    const now = await fresh('now');
    await thrown(() => now.compiledNow(new ArrayBuffer(3)), 'WebAssembly', /could not be compiled/);
    now.compiledNow(bytes);
    assert(await now.compiled() instanceof WebAssembly.Module, 'at once');
    await Promise.all([init(), init({ module_or_path: url }), create({ rule: { name: 'adam' } }).then((each) => each.destroy())]);
    initSync({ module });
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
      () => optimizer.step(), () => optimizer.syncNow(), () => optimizer.syncLastStep(), () => optimizer.weights('w'), () => optimizer.slowWeights('w'),
      () => optimizer.readAll('weights'),
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
