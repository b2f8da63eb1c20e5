// For TensorFlow.js: optimizers of its own kind, on the device of its WebGPU backend and over its own buffers.

import init, { Optimizer } from './lookahead_wgpu.js';
import { LookaheadError } from './error.js';

/** What an optimizer of TensorFlow.js's is in the words of this package, where both compute the same. */
const KNOWN = {
  SGD: ({ learningRate }) => ({ name: 'sgd', lr: learningRate }),
  Momentum: ({ learningRate, momentum, useNesterov }) => ({ name: 'sgd', lr: learningRate, momentum, nesterov: Boolean(useNesterov) }),
  Adam: ({ learningRate, beta1, beta2, epsilon }) => ({ name: 'adam', lr: learningRate, betas: [beta1, beta2], eps: epsilon }),
};

const refuse = (message) => { throw new LookaheadError('Argument', message); };

/**
 * An optimizer for `model.compile`, `minimize` and `applyGradients`, with the options of `Optimizer.create` but `device` and
 * `tensors`, which are those of the variables that it is given at its first step.
 */
export async function lookahead(tf, options) {
  await init();
  return new (classOf(tf))(options);
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
  /** This package's optimizer, from the first step on. */
  #inner;
  /** The variables in their order, and the data that each had after the last step. */
  #variables = [];
  #data = [];
  /** Where the gradients were at the last step. */
  #places = [];
  /** A checkpoint for an optimizer that is not there yet. */
  #pending;

  constructor(options) {
    super();
    backendOf(tf);
    this.#options = options;
  }

  /** This package's optimizer: settings, slow weights, counters; the variables are `0`, `1`, ... there. Nothing before the first step. */
  get inner() {
    return this.#inner;
  }

  applyGradients(given) {
    const entries = Array.isArray(given) ? given.map(({ name, tensor }) => [name, tensor]) : Object.entries(given);
    const gradients = new Map(entries.filter(([, tensor]) => tensor !== null && tensor !== undefined));
    const backend = backendOf(tf);
    if (this.#inner) this.#check(gradients);
    const variables = this.#inner ? this.#variables
      : [...gradients.keys()].map((name) => tf.engine().registeredVariables[name]);
    const isSet = variables.some(({ dataId }, i) => this.#data[i] !== undefined && dataId !== this.#data[i]);
    for (const variable of variables) unshare(backend, variable);
    const weights = variables.map(({ dataId }) => bufferOf(backend, dataId));
    const copies = [];
    const places = placesOf(backend, weights, variables.map(({ name }) => gradients.get(name)), copies);
    // What is recorded comes before the step.
    if (backend.commandEncoder) {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
    // By their place, as TensorFlow.js's own: names differ from model to model.
    const tensors = variables.map((_, i) => ({ name: `${i}`, weights: { buffer: weights[i] }, gradients: { buffer: places[i] } }));
    if (this.#inner) {
      const moved = tensors.map(({ name, weights: to, gradients: from }, i) => ({
        name,
        ...(variables[i].dataId === this.#data[i] ? {} : { weights: to }),
        ...(from.buffer === this.#places[i] ? {} : { gradients: from }),
      })).filter((tensor) => tensor.weights || tensor.gradients);
      if (moved.length > 0) this.#inner.borrow(moved);
      // Who sets weights, sets what follows them, too.
      if (isSet) this.#inner.initSynced();
    } else {
      this.#begin(backend, variables, tensors);
    }
    this.#inner.step();
    for (const copy of copies) copy.dispose();
    [this.#data, this.#places] = [variables.map(({ dataId }) => dataId), places];
    // What the host has read of them is what they were.
    for (const { dataId } of variables) backend.tensorMap.get(dataId).values = null;
    this.incrementIterations();
  }

  #begin({ device }, variables, tensors) {
    const shaped = tensors.map((tensor, i) => ({ ...tensor, shape: variables[i].shape }));
    const inner = Optimizer.createSync({ ...this.#options, device, tensors: shaped });
    if (this.#pending) inner.load(this.#pending);
    this.#pending = undefined;
    this.#inner = inner;
    this.#variables = variables;
  }

  #check(gradients) {
    const names = this.#variables.map(({ name }) => name);
    const missing = names.find((name) => !gradients.has(name));
    const other = [...gradients.keys()].find((name) => !names.includes(name));
    if (missing !== undefined) refuse(`the variable \`${missing}\` has no gradient at this step, and had one at the first`);
    if (other !== undefined) refuse(`the variable \`${other}\` has a gradient at this step, and had none at the first`);
  }

  /** The state, as a checkpoint of this package's in a tensor: how many bytes, and the bytes. */
  async getWeights() {
    const iterations = await this.saveIterations();
    if (!this.#inner) return [iterations];
    const bytes = await this.#inner.save();
    const words = new Int32Array(1 + Math.ceil(bytes.length / 4));
    words[0] = bytes.length;
    new Uint8Array(words.buffer, 4).set(bytes);
    return [iterations, { name: 'lookahead', tensor: tf.tensor1d(words, 'int32') }];
  }

  async setWeights(weights) {
    const [state] = await this.extractIterations(weights);
    if (!state) return;
    const words = Int32Array.from(await state.tensor.data());
    const bytes = new Uint8Array(words.buffer, 4, words[0]);
    if (this.#inner) this.#inner.load(bytes); else this.#pending = bytes;
  }

  getConfig() {
    return { ...this.#options };
  }

  dispose() {
    this.#inner?.destroy();
    this.#inner?.free();
    this.#inner = undefined;
    this.#data = [];
  }
};

/** The buffer of a tensor's data. */
function bufferOf(backend, dataId) {
  backend.uploadToGPU(dataId);
  return backend.tensorMap.get(dataId).resource;
}

/** Tensors do not change: data that others hold, too, stays as it is, and the variable gets a copy. */
function unshare(backend, variable) {
  if (backend.refCount(variable.dataId) < 2) return;
  backend.uploadToGPU(variable.dataId);
  const { tensorRef } = variable.dataToGPU();
  variable.assign(tensorRef);
  tensorRef.dispose();
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
