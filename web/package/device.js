// A GPUDevice that the module tells what to make and what to run, in numbers and texts: the one that a page gives, or one
// of our own. Of a page's own nothing is changed but what is made here: no handler is set, and it is never destroyed.

import { LookaheadError } from './error.js';

/** By their number in the module. */
const KINDS = [{ type: 'uniform' }, { type: 'uniform', hasDynamicOffset: true }, { type: 'read-only-storage' }, { type: 'storage' }];

/** Of WebGPU, which in Node.js has no global object for them. */
const COMPUTE = 4;
const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;

/** No layout. */
const NONE = 0xffffffff;
/** Words of a dispatch: kernel, workgroups in x and y, and kind, bind group and offset of four groups. */
const WORDS = 15;

/** What the module takes as its own kinds of problems. */
const problem = (kind, message, more) => ({ kind, message, ...more });

/** What was thrown or rejected in those words. By name, since a device in Node.js comes without the classes. */
function told(error) {
  if (error?.kind && !(error instanceof Error)) return error;
  // There is a RangeError where there is no room for an array.
  const isMemory = error?.constructor?.name === 'GPUOutOfMemoryError' || error instanceof RangeError;
  return problem(isMemory ? 'memory' : 'refused', String(error?.message || error));
}

/** A lost device in words. */
function reason({ reason: why, message }) {
  return message || (why === 'destroyed' ? 'it was destroyed' : 'the browser gave no reason');
}

export class Device {
  /** The `GPUDevice`. */
  device;
  /** It was opened here. */
  isOwn;
  /** Why it was lost, once it is. */
  lost;
  /** Ends with the same. */
  whenLost;
  #layouts = [];
  #kernels = [];
  #groups = [];
  #buffers = [];
  /** Places of groups and buffers that were let go. */
  #freeGroups = [];
  #freeBuffers = [];
  /** The numbers of buffers of the page's. */
  #given = new Map();
  #modules = new Map();
  /** What will be known to be made or not. */
  #making = new Set();
  /** What went wrong and was not told yet. */
  #problem;
  /** Buffers of which it is not known yet whether they are. */
  #unsettled = new WeakSet();
  /** It is not known yet whether all that was made is right. */
  #isCreating = true;
  /** What was not. */
  #broken;
  /** There are encoders of the page's, which may be submitted at any time. */
  #isLent = false;
  #offsets = new Uint32Array(2);
  #note = (error) => { if (error) this.#problem ??= told(error); };

  constructor(device, isOwn) {
    this.device = device;
    this.isOwn = isOwn;
    // Who waits does not keep the optimizer.
    const self = new WeakRef(this);
    this.whenLost = device.lost.then((info) => {
      const why = reason(info);
      const there = self.deref();
      if (there) there.lost ??= why;
      return why;
    });
  }

  limit(name) {
    return this.device.limits[name];
  }

  /** It computes on the processor. */
  isCpu() {
    const { isFallbackAdapter, architecture, description } = this.device.adapterInfo ?? {};
    return Boolean(isFallbackAdapter) || /swiftshader|llvmpipe/i.test(`${architecture} ${description}`);
  }

  /** What went wrong since the last call, or nothing. What was not made right is told at every call. */
  problem() {
    if (this.#isCreating || this.#broken) return this.#broken;
    const found = this.#problem;
    this.#problem = undefined;
    return found;
  }

  layout(bindings) {
    const entries = [];
    for (let i = 0; i < bindings.length; i += 2) {
      entries.push({ binding: bindings[i], visibility: COMPUTE, buffer: KINDS[bindings[i + 1]] });
    }
    this.#layouts.push(this.#scoped(() => this.device.createBindGroupLayout({ label: 'lookahead', entries })));
  }

  buffer(label, size, usage) {
    let made;
    const failed = this.#scopes(() => { made = this.device.createBuffer({ label, size, usage }); }, true);
    this.#unsettled.add(made);
    // One that failed stays: what is written there fails, too.
    this.#watch(failed.then((error) => {
      if (!error) this.#unsettled.delete(made);
      return error;
    }));
    return put(this.#buffers, this.#freeBuffers, made);
  }

  kernel(number, name, wgsl, entryPoint, layouts, names, values, atOnce) {
    const module = this.#module(number, name, wgsl);
    const bindGroupLayouts = Array.from(layouts, (layout) => (layout === NONE ? null : this.#layouts[layout]));
    const constants = Object.fromEntries(names.map((constant, i) => [constant, values[i]]));
    this.#scoped(() => {
      // An empty one stands for none: not every browser takes `null`.
      const empty = () => this.device.createBindGroupLayout({ entries: [] });
      const layout = this.device.createPipelineLayout({
        label: name, bindGroupLayouts: bindGroupLayouts.map((each) => each ?? empty()),
      });
      const descriptor = { label: name, layout, compute: { module, entryPoint, constants } };
      if (atOnce) {
        this.#kernels[number] = this.device.createComputePipeline(descriptor);
        return;
      }
      const made = this.device.createComputePipelineAsync(descriptor);
      this.#watch(made.then((kernel) => { this.#kernels[number] = kernel; }));
    });
  }

  /** The module of a text, which several kernels may share. */
  #module(kernel, label, code) {
    const there = this.#modules.get(code);
    if (there) return there;
    let module;
    const failed = this.#scopes(() => { module = this.device.createShaderModule({ label, code }); }, true);
    this.#modules.set(code, module);
    this.#watch(failed.then(async (error) => {
      if (!error) return undefined;
      const { messages } = await module.getCompilationInfo();
      const wrong = messages.find(({ type }) => type === 'error');
      // What is made of it is refused, too, and says less.
      if (wrong) this.#problem = problem('shader', error.message, { kernel, line: wrong.lineNum });
      return error;
    }));
    return module;
  }

  group(label, layout, entries) {
    const made = [];
    for (let i = 0; i < entries.length; i += 4) {
      const [binding, buffer, offset, size] = entries.subarray(i, i + 4);
      made.push({ binding, resource: { buffer: this.#buffers[buffer], offset, size } });
    }
    const group = this.#scoped(() => this.device.createBindGroup({ label, layout: this.#layouts[layout], entries: made }));
    return put(this.#groups, this.#freeGroups, group);
  }

  /** What was recorded keeps what it uses. */
  release(groups, buffers) {
    for (const group of groups) take(this.#groups, this.#freeGroups, group);
    for (const number of buffers) {
      // What is not submitted yet may use it.
      if (!this.#isLent) this.#buffers[number]?.destroy();
      take(this.#buffers, this.#freeBuffers, number);
    }
  }

  /** Ends when all that was begun is made; rejected with what went wrong. */
  async made() {
    await Promise.all(this.#making);
    this.#modules.clear();
    // A device that is lost makes objects without a word. A promise that is settled already comes first.
    const lost = await Promise.race([this.device.lost, Promise.resolve()]);
    if (lost) throw problem('lost', reason(lost));
    this.#isCreating = false;
    const found = this.problem();
    if (found) throw found;
  }

  /** Has what was made at once be known as soon as it can be. */
  settle() {
    this.made().catch((problems) => { this.#broken = problems; });
  }

  write(buffer, offset, bytes) {
    const { queue } = this.device;
    const target = this.#buffers[buffer];
    const write = () => queue.writeBuffer(target, offset, bytes);
    // Of a buffer of ours nothing can be wrong, once it is made.
    if (this.#unsettled.has(target) || this.#given.has(target)) this.#scoped(write); else write();
  }

  unpack(bytes, targets) {
    const { device } = this;
    this.#scoped(() => {
      const packed = device.createBuffer({ label: 'lookahead upload', size: bytes.length, usage: COPY_SRC | COPY_DST });
      device.queue.writeBuffer(packed, 0, bytes);
      const encoder = device.createCommandEncoder();
      for (let i = 0, at = 0; i < targets.length; i += 3) {
        encoder.copyBufferToBuffer(packed, at, this.#buffers[targets[i]], targets[i + 1], targets[i + 2]);
        at += targets[i + 2];
      }
      device.queue.submit([encoder.finish()]);
      // The device keeps it until the copies are done.
      packed.destroy();
    });
  }

  /** The bytes of these ranges, as they are when what was submitted so far is done. */
  read(ranges) {
    const { device } = this;
    let size = 0;
    for (let i = 2; i < ranges.length; i += 3) size += ranges[i];
    let staging;
    let mapped;
    // Whatever is thrown is a rejection: there is a promise to be given.
    const failed = this.#scopes(() => {
      staging = device.createBuffer({ label: 'lookahead readback', size, usage: MAP_READ | COPY_DST });
      const encoder = device.createCommandEncoder();
      for (let i = 0, at = 0; i < ranges.length; i += 3) {
        encoder.copyBufferToBuffer(this.#buffers[ranges[i]], ranges[i + 1], staging, at, ranges[i + 2]);
        at += ranges[i + 2];
      }
      device.queue.submit([encoder.finish()]);
      mapped = staging.mapAsync(MAP_READ);
      mapped.catch(() => {});
    });
    return (async () => {
      const error = await failed;
      if (error) {
        staging?.destroy();
        throw told(error);
      }
      try {
        await mapped;
        return new Uint8Array(staging.getMappedRange()).slice();
      } catch (cause) {
        await Promise.resolve();
        throw problem('lost', this.lost ?? String(cause?.message || cause));
      } finally {
        staging.destroy();
      }
    })();
  }

  /** An encoder of our own. */
  begin() {
    return this.device.createCommandEncoder();
  }

  submit(encoder) {
    this.#validated(() => this.device.queue.submit([encoder.finish()]));
  }

  words(encoder, buffer, offset, words) {
    const size = words.byteLength;
    this.#scoped(() => {
      const from = this.device.createBuffer({ label: 'lookahead new guard tables', size, usage: COPY_SRC | COPY_DST });
      this.device.queue.writeBuffer(from, 0, words);
      encoder.copyBufferToBuffer(from, 0, this.#buffers[buffer], offset, size);
    });
  }

  play(encoder, words, isOwn) {
    if (isOwn) {
      this.#play(encoder, words);
    } else {
      this.#isLent = true;
      // An encoder that is finished is an error of the page's, told by our next call.
      this.#validated(() => this.#play(encoder, words));
    }
  }

  #play(encoder, words) {
    let at = words[0] + 1;
    for (let i = 1; i < at; i += 1) encoder.clearBuffer(this.#buffers[words[i]]);
    const pass = encoder.beginComputePass();
    for (; at < words.length; at += WORDS) {
      pass.setPipeline(this.#kernels[words[at]]);
      for (let group = 0; group < 4; group += 1) {
        const bound = at + 3 + 3 * group;
        if (words[bound] === 1) {
          pass.setBindGroup(group, this.#groups[words[bound + 1]]);
        } else if (words[bound] === 2) {
          this.#offsets.fill(words[bound + 2]);
          pass.setBindGroup(group, this.#groups[words[bound + 1]], this.#offsets, 0, 2);
        }
      }
      pass.dispatchWorkgroups(words[at + 1], words[at + 2]);
    }
    pass.end();
  }

  /** The number of a buffer of the page's. */
  adopt(buffer) {
    let number = this.#given.get(buffer);
    if (number === undefined) {
      number = put(this.#buffers, this.#freeBuffers, buffer);
      this.#given.set(buffer, number);
    }
    return number;
  }

  /** Lets go of the page's buffers but these. */
  keep(numbers) {
    const kept = new Set(numbers);
    for (const [buffer, number] of this.#given) {
      if (kept.has(number)) continue;
      this.#given.delete(buffer);
      take(this.#buffers, this.#freeBuffers, number);
    }
  }

  /** The buffer of a number. */
  bufferOf(number) {
    return this.#buffers[number];
  }

  /** Gives all memory back, and a device of our own with it. */
  destroy() {
    this.lost ??= 'it was destroyed';
    if (this.isOwn) {
      this.device.destroy();
    } else {
      const given = new Set(this.#given.values());
      this.#buffers.forEach((buffer, number) => { if (buffer && !given.has(number)) buffer.destroy(); });
    }
    for (const all of [this.#layouts, this.#kernels, this.#groups, this.#buffers]) all.length = 0;
    this.#given.clear();
  }

  /** What each step does: with one scope, since nothing is made. */
  #validated(run) {
    this.device.pushErrorScope('validation');
    try {
      run();
    } finally {
      this.device.popErrorScope().then(this.#note, this.#note);
    }
  }

  /** What `make` makes; what is wrong with it is known later. */
  #scoped(make) {
    let made;
    this.#watch(this.#scopes(() => { made = make(); }, true));
    return made;
  }

  /** Notes what a promise gives or is rejected with, and is not done before. */
  #watch(promise) {
    const watched = promise.then(this.#note, this.#note).finally(() => this.#making.delete(watched));
    this.#making.add(watched);
  }

  /** Runs with errors caught: a promise of the first. What is thrown is thrown on where that is asked for. */
  #scopes(run, throws = false) {
    const { device } = this;
    let thrown;
    for (const filter of ['internal', 'validation', 'out-of-memory']) device.pushErrorScope(filter);
    try {
      run();
    } catch (error) {
      thrown = error;
    }
    const found = Promise.all([device.popErrorScope(), device.popErrorScope(), device.popErrorScope()])
      .then(([memory, validation, internal]) => memory ?? validation ?? internal);
    if (thrown && throws) {
      found.catch(() => {});
      throw thrown;
    }
    return thrown ? found.then(() => thrown, () => thrown) : found;
  }
}

/** Puts a thing where there is room, and tells where. */
function put(things, free, thing) {
  const number = free.pop() ?? things.length;
  things[number] = thing;
  return number;
}

function take(things, free, number) {
  if (things[number] === undefined) return;
  things[number] = undefined;
  free.push(number);
}

const noWebGpu = (why, cause) => new LookaheadError('NoWebGpu', `no WebGPU: ${why}`, { cause });

/** Where an optimizer's device comes from. */
export class Opening {
  /** What was opened last. */
  opened;
  #given;

  constructor(given) {
    this.#given = given;
  }

  /** Its limits are the page's to choose. */
  isGiven() {
    return this.#given !== undefined;
  }

  /** The page's device, or a new one with limits of at least these values, as far as the adapter has them. */
  async open(names, values) {
    if (this.isGiven()) return this.givenDevice();
    this.opened = new Device(await this.#request(names, values), true);
    return this.opened;
  }

  /** The page's device. */
  givenDevice() {
    this.opened = new Device(this.#given, false);
    return this.opened;
  }

  async #request(names, values) {
    const gpu = globalThis.navigator?.gpu;
    if (!gpu && globalThis.process?.versions?.node) {
      throw noWebGpu('Node.js has none by itself; with the npm package `webgpu`, '
        + '`globalThis.navigator = { gpu: create([]) }` gives it one');
    }
    if (!gpu) {
      throw noWebGpu('this browser has none here; it takes a recent Chrome, Edge, Firefox or Safari, and a page from '
        + 'https:// or from this machine');
    }
    let adapter;
    let cause;
    try {
      adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    } catch (error) {
      cause = error;
    }
    if (!adapter) {
      throw noWebGpu('the browser has it, and found no adapter: it may not support this GPU or its driver (Chrome says why at '
        + 'chrome://gpu), or graphics acceleration is switched off', cause);
    }
    const requiredLimits = Object.fromEntries(names.map((name, i) => [name, Math.min(values[i], adapter.limits[name])]));
    try {
      return await adapter.requestDevice({ label: 'lookahead', requiredLimits });
    } catch (cause) {
      const { vendor, architecture } = adapter.info ?? {};
      throw new LookaheadError('NoDevice',
        `the adapter \`${[vendor, architecture].filter(Boolean).join(' ') || 'unnamed'}\` gave no device: ${cause?.message ?? cause}`, { cause });
    }
  }
}
