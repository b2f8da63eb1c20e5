// For TensorFlow.js: optimizers of its own kind, on the device of its WebGPU backend and over its own buffers.

import { checkOptions, refuse } from './fit.js';
import init, { Optimizer } from './lookahead_wgpu.js';

/** What an optimizer of TensorFlow.js's is in the words of this package, where both compute the same. */
const KNOWN = {
  SGD: ({ learningRate }) => ({ name: 'sgd', lr: learningRate }),
  Momentum: ({ learningRate, momentum, useNesterov }) => ({ name: 'sgd', lr: learningRate, momentum, nesterov: Boolean(useNesterov) }),
  Adam: ({ learningRate, beta1, beta2, epsilon }) => ({ name: 'adam', lr: learningRate, betas: [beta1, beta2], eps: epsilon }),
};

/**
 * An optimizer for `model.compile`, `minimize` and `applyGradients`, with the options of `Optimizer.create` but those that TensorFlow.js
 * decides. Where weights are assigned between steps, what follows them begins again from there; with `onAssign: 'keep'` it
 * does not, as for weights that are clipped after each step.
 */
export async function lookahead(tf, { onAssign = 'restart', ...options }) {
  checkOptions(options, 'TensorFlow.js');
  if (!['restart', 'keep'].includes(onAssign)) refuse('`onAssign` must be \'restart\' or \'keep\'');
  await init();
  return new (classOf(tf))(options, onAssign);
}

/** The same in an optimizer's place, with its hyperparameters: `model.compile({ optimizer: await accelerate(tf, tf.train.adam(1e-3)) })`. */
export async function accelerate(tf, optimizer, options = {}) {
  const name = optimizer?.getClassName?.() ?? refuse('`accelerate` takes an optimizer of TensorFlow.js\'s, as `tf.train.adam()` is');
  const rule = KNOWN[name];
  if (!rule) {
    refuse(`TensorFlow.js computes \`${name}\` otherwise than the rules here; `
      + `${Object.keys(KNOWN).join(', ')} are the same, and \`lookahead(tf, { rule })\` takes any rule`);
  }
  return lookahead(tf, { ...options, rule: rule(optimizer.getConfig()) });
}

const classes = new WeakMap();

/** The class for one copy of TensorFlow.js: its own optimizers are the parent's. */
function classOf(tf) {
  if (!classes.has(tf)) classes.set(tf, makeClass(tf));
  return classes.get(tf);
}

function backendOf(tf) {
  if (tf.getBackend() === 'webgpu') return tf.backend();
  return refuse(`the backend of TensorFlow.js is \`${tf.getBackend()}\`; with \`await tf.setBackend('webgpu')\` its tensors are on a device `
    + 'that this can work on');
}

const makeClass = (tf) => class Lookahead extends tf.Optimizer {
  static get className() {
    return 'Lookahead';
  }

  #options;
  #onAssign;
  /** This package's optimizer, from the first step on. */
  #inner;
  /** The variables' names in their order, their data, and where values and gradients lie for the optimizer. */
  #names = [];
  #data = [];
  #weights = [];
  #gradients = [];
  /** Gradients of nobody's, for where there are none: TensorFlow.js may have used the last ones' buffers again. */
  #spare;
  /** Somebody has assigned weights, which what follows them has not heard of yet. */
  #isAssigned = false;
  /** A checkpoint for an optimizer that is not there yet. */
  #pending;

  constructor(options, onAssign) {
    super();
    backendOf(tf);
    this.#options = options;
    this.#onAssign = onAssign;
  }

  /** This package's optimizer; the variables are `0`, `1`, ... there. Nothing before the first step. */
  get inner() {
    return this.#inner;
  }

  applyGradients(given) {
    const entries = Array.isArray(given) ? given.map(({ name, tensor }) => [name, tensor]) : Object.entries(given);
    const gradients = new Map(entries.filter(([, tensor]) => tensor !== null && tensor !== undefined));
    const backend = backendOf(tf);
    if (this.#inner) this.#check(gradients);
    const names = this.#inner ? this.#names : [...gradients.keys()];
    const variables = names.map((name) => variableOf(tf, name, gradients.get(name)));
    const copies = [];
    const placesFor = (weights) => placesOf(backend, weights, names.map((name) => gradients.get(name)), copies);
    try {
      if (this.#inner) {
        this.#follow(backend, placesFor);
      } else {
        this.#begin(backend, variables, placesFor);
      }
      this.#inner.step();
    } finally {
      for (const copy of copies) copy.dispose();
    }
    this.incrementIterations();
  }

  #variables() {
    return this.#names.map((name) => variableOf(tf, name));
  }

  #begin(backend, variables, placesFor) {
    const weights = variables.map((variable) => own(backend, variable));
    const places = placesFor(weights);
    flush(backend);
    const tensors = variables.map(({ shape }, i) => (
      { name: `${i}`, shape, weights: { buffer: weights[i] }, gradients: { buffer: places[i] } }));
    const inner = Optimizer.createSync({ ...this.#options, device: backend.device, tensors });
    [this.#names, this.#data] = [variables.map(({ name }) => name), variables.map(({ dataId }) => dataId)];
    [this.#weights, this.#gradients] = [weights, places];
    this.#inner = inner;
    if (!this.#pending) return;
    try {
      this.#load(backend, this.#pending, placesFor);
      this.#pending = undefined;
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Takes the variables as they are now: values that others hold stay theirs, and where somebody has assigned others, those count. */
  #follow(backend, placesFor = () => this.#spares(backend)) {
    const variables = this.#variables();
    this.#isAssigned ||= variables.some(({ dataId }, i) => dataId !== this.#data[i]);
    this.#take(backend, variables, placesFor);
    const follows = this.#inner.k() !== undefined || this.#options.average !== undefined;
    if (this.#isAssigned && follows && this.#onAssign === 'restart') this.#inner.initSynced();
    this.#isAssigned = false;
  }

  #take(backend, variables, placesFor) {
    const weights = variables.map((variable) => own(backend, variable));
    // A copy of ours is no assignment, whatever is refused after it.
    this.#data = variables.map(({ dataId }) => dataId);
    const gradients = placesFor(weights);
    flush(backend);
    this.#borrow(weights, gradients);
  }

  #spares({ device }) {
    const usage = GPUBufferUsage.STORAGE;
    this.#spare ??= this.#weights.map(({ size }) => device.createBuffer({ label: 'lookahead no gradient', size, usage }));
    return this.#spare;
  }

  /** Tells where values and gradients lie, as far as that has changed. */
  #borrow(weights, gradients) {
    const tensors = weights.map((buffer, i) => ({
      name: `${i}`,
      ...(buffer === this.#weights[i] ? {} : { weights: { buffer } }),
      ...(gradients[i] === this.#gradients[i] ? {} : { gradients: { buffer: gradients[i] } }),
    }));
    const moved = tensors.filter((tensor) => tensor.weights || tensor.gradients);
    if (moved.length > 0) this.#inner.borrow(moved);
    [this.#weights, this.#gradients] = [weights, gradients];
  }

  #check(gradients) {
    const missing = this.#names.find((name) => !gradients.has(name));
    const other = [...gradients.keys()].find((name) => !this.#names.includes(name));
    if (missing !== undefined) refuse(`the variable \`${missing}\` has no gradient at this step, and had one at the first`);
    if (other !== undefined) refuse(`the variable \`${other}\` has a gradient at this step, and had none at the first`);
  }

  /**
   * Runs with the slow weights in the variables' places: to evaluate, and not to train. What is recorded within it is done before
   * they are exchanged back.
   */
  async withSlow(run) {
    if (!this.#inner) return run();
    const backend = backendOf(tf);
    this.#follow(backend);
    this.#inner.swapSlow();
    try {
      return await run();
    } finally {
      flush(backend);
      this.#inner.swapSlow();
    }
  }

  /** The state, as a checkpoint of this package's in a tensor: how many bytes, and the bytes. */
  async getWeights() {
    const iterations = await this.saveIterations();
    if (this.#inner) this.#follow(backendOf(tf));
    const bytes = this.#inner ? await this.#inner.save() : this.#pending;
    if (!bytes) return [iterations];
    const words = new Int32Array(1 + Math.ceil(bytes.length / 4));
    words[0] = bytes.length;
    new Uint8Array(words.buffer, 4).set(bytes);
    return [iterations, { name: 'lookahead', tensor: tf.tensor1d(words, 'int32') }];
  }

  /** Goes on from such a state. The variables keep their values, as with TensorFlow.js's own optimizers. */
  async setWeights(weights) {
    const state = weights[1];
    if (state) {
      const words = Int32Array.from(await state.tensor.data());
      const bytes = new Uint8Array(words.buffer, 4, words[0]);
      if (this.#inner) this.#load(backendOf(tf), bytes); else this.#pending = bytes;
    }
    await this.extractIterations(weights);
  }

  /** Loads a checkpoint, whose weights go where the variables' values were: these are elsewhere then. */
  #load(backend, bytes, placesFor = () => this.#spares(backend)) {
    this.#follow(backend, placesFor);
    const kept = this.#variables().map((variable) => variable.dataToGPU().tensorRef);
    try {
      this.#inner.load(bytes);
      this.#variables().forEach((variable, i) => variable.assign(kept[i]));
    } finally {
      tf.dispose(kept);
    }
    this.#take(backend, this.#variables(), placesFor);
  }

  getConfig() {
    return { ...this.#options, onAssign: this.#onAssign };
  }

  dispose() {
    this.#inner?.destroy();
    this.#inner?.free();
    this.#inner = undefined;
    for (const buffer of this.#spare ?? []) buffer.destroy();
    this.#spare = undefined;
  }
};

/** A variable by its name, which a gradient fits. */
function variableOf(tf, name, gradient) {
  const variable = tf.engine().registeredVariables[name];
  if (!variable) refuse(`there is no variable \`${name}\` any more`);
  if (variable.dtype !== 'float32') refuse(`the variable \`${name}\` is ${variable.dtype}, and float32 is what can be trained`);
  if (gradient && (gradient.dtype !== 'float32' || `${gradient.shape}` !== `${variable.shape}`)) {
    refuse(`the gradient of \`${name}\` is ${gradient.dtype} of the shape [${gradient.shape}], and the variable is of [${variable.shape}]`);
  }
  return variable;
}

/** Submits what is recorded. */
function flush(backend) {
  if (!backend.commandEncoder) return;
  backend.endComputePassEncoder();
  backend.submitQueue();
}

/** The buffer of a tensor's data. */
function bufferOf(backend, dataId) {
  backend.uploadToGPU(dataId);
  return backend.tensorMap.get(dataId).resource;
}

/**
 * The buffer of a variable, in which it is stepped. Tensors do not change: data that others hold, too, stays as it is, and
 * the variable gets a copy.
 */
function own(backend, variable) {
  bufferOf(backend, variable.dataId);
  if (backend.refCount(variable.dataId) > 1) {
    const { tensorRef } = variable.dataToGPU();
    variable.assign(tensorRef);
    tensorRef.dispose();
  }
  const buffer = bufferOf(backend, variable.dataId);
  // TensorFlow.js keeps what it has read for the next time, which would be what it was.
  Object.defineProperty(backend.tensorMap.get(variable.dataId), 'values', { configurable: true, get: () => null, set: () => {} });
  return buffer;
}

/** The buffers of gradients: a copy, which is added to `copies`, where one is that of a variable or of another gradient. */
function placesOf(backend, weights, gradients, copies) {
  const taken = new Set(weights);
  return gradients.map((gradient) => {
    let buffer = bufferOf(backend, gradient.dataId);
    if (taken.has(buffer)) {
      const copy = gradient.dataToGPU();
      copies.push(copy.tensorRef);
      buffer = copy.buffer;
    }
    taken.add(buffer);
    return buffer;
  });
}
