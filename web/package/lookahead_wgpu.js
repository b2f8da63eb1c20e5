// The package: `Optimizer`, and what is around it. Each optimizer is in an instance of the module, behind this class.

import { bytes, device, encoder, flag, floats, group, maybeObject, number, object, options, places, schedule, text } from './arguments.js';
import { Opening } from './device.js';
import { LookaheadError } from './error.js';
import { Instance } from './instance.js';
import { compiled, compiledBefore, compiledNow } from './module.js';
import { NonMonotone } from './trigger.js';

export { LookaheadError, NonMonotone };

/** What each call of the module's optimizer takes. A test compares the names with those of the types. */
const CALLS = {
  setWeights: { tensor: text, values: floats },
  setGradient: { tensor: text, values: floats },
  weightSlices: { tensor: text },
  gradientSlices: { tensor: text },
  slowWeightSlices: { tensor: text },
  halfWeightSlices: { tensor: text },
  curvatureSlices: { tensor: text },
  snapshotGradientSlices: { tensor: text },
  fullGradientSlices: { tensor: text },
  fullGradientsDue: {},
  lossScaleSlices: {},
  borrow: { tensors: places },
  step: { encoder },
  flush: { encoder },
  discard: {},
  syncNow: { encoder },
  syncLastStep: { encoder },
  initSynced: { encoder },
  beginAverage: { encoder },
  swapSlow: { encoder },
  swapAverage: { encoder },
  load: { checkpoint: bytes, options: maybeObject },
  position: { group },
  task: { group },
  learningRate: { group },
  setLearningRate: { lr: number, group },
  setK: { k: number, group },
  setAlpha: { alpha: number, group },
  k: { group },
  alpha: { group },
  baseLearningRate: { group },
  learningRateFactor: { group },
  setLearningRateFactor: { factor: number, group },
  weightDecay: { group },
  setWeightDecay: { decay: number, group },
  isFrozen: { group },
  setFrozen: { frozen: flag, group },
  setRule: { rule: object, group },
  setSchedule: { schedule },
};

/** Those that give promises, which are rejected where the others throw. */
const PROMISES = {
  lost: {},
  weights: { tensor: text },
  slowWeights: { tensor: text },
  read: { field: text, tensor: text },
  readAll: { field: text },
  save: {},
  counters: {},
  gradientNorms: {},
  alphas: {},
  accelerations: {},
  skipped: {},
};

const GETTERS = ['adapter', 'device', 'memory', 'steps'];

/** Of each optimizer: its instance, what it is there, and where its device is from. Nothing once it is freed. */
const parts = new WeakMap();

function partsOf(optimizer, name) {
  if (!parts.has(optimizer)) {
    throw new LookaheadError('Argument', `\`${name}\` is an optimizer's: call it as \`optimizer.${name}\``);
  }
  const found = parts.get(optimizer);
  if (!found) throw new LookaheadError('Freed', `\`${name}\` of an optimizer that was freed; create a new one`);
  return found;
}

function call(optimizer, name, takes, given) {
  const { instance, inner } = partsOf(optimizer, name);
  const read = Object.entries(takes).map(([what, kind], i) => kind(given[i], name, what));
  return instance.run(() => inner[name](...read));
}

function get(optimizer, name) {
  const { instance, inner } = partsOf(optimizer, name);
  return instance.run(() => inner[name]);
}

/** Only this module makes optimizers. */
const MAKING = Symbol('making');

export class Optimizer {
  constructor(making, own) {
    if (making !== MAKING) {
      throw new LookaheadError('Argument', 'an optimizer is made by `await Optimizer.create({ ... })`');
    }
    parts.set(this, own);
  }

  static async create(given) {
    const { device: page, ...read } = options(given);
    const opening = new Opening(device(page));
    const instance = new Instance(await compiled());
    try {
      const inner = await instance.run(() => instance.classes.Optimizer.create({ ...read, opening }));
      return new Optimizer(MAKING, { instance, inner, opening });
    } catch (error) {
      // Memory may be what was short.
      opening.opened?.destroy();
      throw error;
    }
  }

  static createSync(given) {
    const { device: page, ...read } = options(given);
    const opening = new Opening(device(page));
    const instance = new Instance(compiledBefore());
    try {
      const inner = instance.run(() => instance.classes.Optimizer.createSync({ ...read, opening }));
      opening.opened.settle();
      return new Optimizer(MAKING, { instance, inner, opening });
    } catch (error) {
      opening.opened?.destroy();
      throw error;
    }
  }

  destroy() {
    const { instance, inner, opening } = partsOf(this, 'destroy');
    try {
      instance.run(() => inner.destroy());
    } catch {
      // It has failed before, and what it made is there yet.
      opening.opened.destroy();
    }
  }

  free() {
    if (parts.has(this) && !parts.get(this)) return;
    const { instance, inner } = partsOf(this, 'free');
    parts.set(this, undefined);
    try {
      instance.run(() => inner.free());
    } catch {
      // It has failed before: what it holds goes with it.
    }
  }
}

for (const [name, takes] of Object.entries(CALLS)) {
  define(name, { writable: true, value(...given) { return call(this, name, takes, given); } });
}
for (const [name, takes] of Object.entries(PROMISES)) {
  define(name, { writable: true, async value(...given) { return call(this, name, takes, given); } });
}
for (const name of GETTERS) {
  define(name, { get() { return get(this, name); } });
}
if (Symbol.dispose) define(Symbol.dispose, { writable: true, value: Optimizer.prototype.free });

function define(name, property) {
  Object.defineProperty(Optimizer.prototype, name, { configurable: true, ...property });
}

/** A source as wasm-bindgen's modules take it, too. */
const unwrapped = (source, name) => Object.getPrototypeOf(source ?? 0) === Object.prototype ? source[name] : source;

/** Compiles the module, which `Optimizer.create` does where nobody did. */
export default async function init(source) {
  await compiled(unwrapped(source, 'module_or_path'));
}

/** The same at once, from bytes or a compiled module. */
export function initSync(source) {
  compiledNow(unwrapped(source, 'module'));
}
