// An instance of the WebAssembly module: one for each optimizer, so that whatever fails in it fails for that one alone.

import { LookaheadError } from './error.js';
import { bind } from './glue.js';

export class Instance {
  /** The module's classes. */
  classes;
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
      globalThis: { queueMicrotask: globalThis.queueMicrotask },
      // The same by other names, of which one is enough.
      self: undefined,
      window: undefined,
      global: undefined,
      console: { error: (text) => { this.#panic = String(text); }, warn: (...words) => console.warn(...words) },
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
    const said = this.#panic.split('\n').slice(1).join(' ').trim();
    const why = said || cause?.message || String(cause);
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
}
