// An instance of the WebAssembly module: one for each optimizer, so that whatever fails in it fails for that one alone.

import { LookaheadError } from './error.js';
import { bind } from './glue.js';

/** What stands to the right of `instanceof` where the module asks for a kind of GPU error. By name, since a device in Node.js
 * comes without the classes; and what is not out of memory is told like a validation error, for wgpu knows no others. */
const kindOfError = (test) => ({ [Symbol.hasInstance]: (error) => test(error?.constructor?.name) });
const GPUOutOfMemoryError = kindOfError((name) => name === 'GPUOutOfMemoryError');
const GPUValidationError = kindOfError((name) => name !== 'GPUOutOfMemoryError');

export class Instance {
  /** The module's classes. */
  classes;
  /** The device that it has opened last. */
  device;
  /** Why the instance is of no more use. */
  #fault;
  /** What it said when it panicked. */
  #panic = '';
  /** How many calls into it are on the stack. */
  #depth = 0;
  /** What rejects the promises that it has not settled. */
  #waiting = new Set();

  constructor(module) {
    this.classes = bind({
      WebAssembly: { Module: WebAssembly.Module, Instance: this.#guarding() },
      globalThis: this.#surroundings(),
      // The same by other names, of which one is enough.
      self: undefined,
      window: undefined,
      global: undefined,
      console: { error: (text) => { this.#panic = String(text); }, warn: (...words) => console.warn(...words) },
      GPUOutOfMemoryError,
      GPUValidationError,
    });
    this.run(() => this.classes.initSync({ module }));
  }

  /** What `call` gives. Where the module faults, in it or later, it throws, and a promise is rejected. */
  run(call) {
    this.#depth += 1;
    try {
      if (this.#fault) throw this.#fault;
      const result = call();
      return result instanceof Promise ? this.#settled(result) : result;
    } catch (error) {
      throw this.#told(error);
    } finally {
      this.#depth -= 1;
    }
  }

  #settled(promise) {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const done = (end) => (value) => { this.#waiting.delete(reject); end(value); };
      promise.then(done(resolve), done((error) => reject(this.#told(error))));
    });
  }

  /** The module's own errors as ours. Any other is a fault. */
  #told(error) {
    if (error instanceof LookaheadError) return error;
    if (error?.name === 'LookaheadError') return new LookaheadError(error.kind, error.message);
    return this.#fail(error);
  }

  /** The module may have stopped anywhere: nothing of this instance is called again, and nobody waits for it. */
  #fail(cause) {
    if (this.#fault) return this.#fault;
    // wgpu says what the browser threw after its own place in the source.
    const [, thrown] = /JsValue\((.*)/.exec(this.#panic) ?? [];
    const said = this.#panic.split('\n').slice(1).join(' ').trim();
    const why = thrown ?? (said || cause?.message || String(cause));
    this.#fault = new LookaheadError('Fault',
      `the optimizer failed within a call, and is of no more use: ${why}; create a new one, and \`load\` the last checkpoint`,
      { cause: this.#panic ? new Error(this.#panic, { cause }) : cause });
    for (const reject of this.#waiting) reject(this.#fault);
    this.#waiting.clear();
    return this.#fault;
  }

  /** `WebAssembly.Instance`, of which no exception comes out unseen. */
  #guarding() {
    const guard = (call) => (...words) => {
      const outermost = this.#depth === 0;
      this.#depth += 1;
      try {
        if (this.#fault) throw this.#fault;
        return call(...words);
      } catch (error) {
        const fault = this.#fail(error);
        if (!outermost) throw fault;
        // A promise or a microtask has called: nobody is there to catch it. The glue finds no result and no error in this.
        return [];
      } finally {
        this.#depth -= 1;
      }
    };
    return function Instance(module, imports) {
      const { exports } = new WebAssembly.Instance(module, imports);
      const guarded = ([name, value]) => [name, typeof value === 'function' ? guard(value) : value];
      return { exports: Object.fromEntries(Object.entries(exports).map(guarded)) };
    };
  }

  /** The global object as the module sees it: wgpu looks for a window, and there is WebGPU where there is none. */
  #surroundings() {
    const { queueMicrotask } = globalThis;
    const gpu = globalThis.navigator?.gpu;
    return { Window: {}, navigator: { gpu: gpu && this.#watched(gpu) }, queueMicrotask };
  }

  /** `navigator.gpu`, with an eye on the device that is opened. */
  #watched(gpu) {
    const requestDevice = async (adapter, descriptor) => {
      this.device = await adapter.requestDevice(descriptor);
      return this.device;
    };
    return {
      requestAdapter: async (options) => {
        const adapter = await gpu.requestAdapter(options);
        if (!adapter) return null;
        const { features, limits, info } = adapter;
        return { features, limits, info, requestDevice: (descriptor) => requestDevice(adapter, descriptor) };
      },
    };
  }
}
