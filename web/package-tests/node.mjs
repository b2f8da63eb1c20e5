// The npm package in Node.js, on Dawn: `node web/package-tests/node.mjs`, after `cargo xtask web --build`. With a word, only
// the tests whose names have it. One compares with the library on wgpu, which `cargo xtask web --test` builds.

import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { needs, remark, runAll } from '../tests/runner.mjs';
import { compare } from './bits.js';
import { golden } from './golden.js';

const here = resolve(fileURLToPath(import.meta.url), '..');
const built = join(here, '../dist/package');
needs(join(built, 'lookahead_wgpu.js'), 'cargo xtask web --build');
// SwiftShader, as in Chromium; the Vulkan loader reads it when Dawn is loaded.
process.env.VK_DRIVER_FILES = process.env.SWIFTSHADER_ICD ?? '/usr/lib/chromium/vk_swiftshader_icd.json';
const { create } = await import('webgpu');

/** A project that has installed the package. */
const project = await mkdtemp(join(tmpdir(), 'lookahead-node-'));
process.on('exit', () => rm(project, { recursive: true, force: true }));
await mkdir(join(project, 'node_modules'));
await symlink(built, join(project, 'node_modules/lookahead-wgpu'), 'dir');
const { resolve: found } = createRequire(join(project, 'main.js'));
const { Optimizer, LookaheadError } = await import(pathToFileURL(found('lookahead-wgpu')));

/** Milliseconds after which a promise counts as pending for ever. */
const PATIENCE = 60_000;
const OPTIONS = { rule: { name: 'sgd', lr: 0.1 }, tensors: [{ name: 'w', shape: [2] }] };
const dawn = create([]);

const within = (promise) => Promise.race([promise, new Promise((_, reject) => {
  setTimeout(() => reject(new Error(`pending after ${PATIENCE} ms`)), PATIENCE).unref();
})]);

/** What `run` gives where this is `navigator.gpu`. */
async function on(gpu, run) {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { configurable: true, writable: true, value: gpu === undefined ? {} : { gpu } });
  try {
    return await run();
  } finally {
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else delete globalThis.navigator;
  }
}

async function trains() {
  const optimizer = await within(Optimizer.create(OPTIONS));
  optimizer.setWeights('w', [1, 2]);
  optimizer.setGradient('w', [0.5, -0.5]);
  optimizer.step();
  assert.deepEqual([...await within(optimizer.weights('w'))], [0.95, 2.05].map(Math.fround));
  const { adapter } = optimizer;
  optimizer.destroy();
  return adapter;
}

async function rejects(gpu, kind, message) {
  await assert.rejects(on(gpu, () => within(Optimizer.create(OPTIONS))), (error) => {
    assert.ok(error instanceof LookaheadError, `${error}`);
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  });
}

/** Dawn, with something else in a device's place of things. */
const withDevice = (change) => ({
  async requestAdapter(options) {
    const adapter = await dawn.requestAdapter(options);
    const { features, limits, info } = adapter;
    const requestDevice = async (descriptor) => {
      const device = await adapter.requestDevice(descriptor);
      change(device);
      return device;
    };
    return { features, limits, info, requestDevice };
  },
});

const tests = [];
const test = (name, run) => tests.push({ name, run });

test('tools find the package, its description and its wasm', () => {
  for (const name of ['', '/package.json', '/lookahead_wgpu_bg.wasm']) found(`lookahead-wgpu${name}`);
  assert.equal(createRequire(join(project, 'main.js'))('lookahead-wgpu/package.json').name, 'lookahead-wgpu');
});

test('trains on Dawn, which `navigator` alone tells of', () => on(dawn, async () => remark(await trains())));

test('runs the example of the README', () => on(dawn, async () => {
  const file = join(project, 'example.mjs');
  await copyFile(join(here, 'example.js'), file);
  const { x, y } = await within(import(pathToFileURL(file)));
  assert.ok(Math.abs(x - 3) < 1e-2 && Math.abs(y + 1) < 1e-2, `${x}, ${y}`);
}));

test('a checkpoint of the native library comes back byte for byte', () => on(dawn, async () => {
  const written = await readFile(join(here, '../../tests/oracle/checkpoints/adam-alone.safetensors'));
  const shapes = [[5, 7], [130], [3, 4, 5], [1], [2, 3, 3, 9], [6, 1]];
  const tensors = shapes.map((shape, index) => ({ name: `t${index}`, shape }));
  const optimizer = await within(Optimizer.create({ rule: { name: 'adam', lr: 0.01, eps: 1e-4 }, tensors }));
  optimizer.load(written);
  assert.deepEqual(Buffer.from(await within(optimizer.save())), written);
  const damaged = Uint8Array.from(written);
  damaged[damaged.length - 1] ^= 1;
  assert.throws(() => optimizer.load(damaged), ({ kind, message }) => kind === 'Checkpoint' && message.includes('damaged'));
  optimizer.destroy();
}));

test('the trajectories of PyTorch and optax are met', () => on(dawn, async () => {
  const told = [];
  for (const name of ['torch', 'optax']) {
    const file = JSON.parse(await readFile(join(here, `../../tests/golden/${name}.json`), 'utf8'));
    told.push(await golden(file, (options) => Optimizer.create(options)));
  }
  remark(`largest error ${Math.max(...told.map(({ largest }) => largest)).toExponential(1)}`);
}));

test('every rule and option comes to the bits of the library on wgpu', () => on(dawn, async () => {
  const tests = join(here, '../dist/tests');
  const library = await import(pathToFileURL(join(tests, 'lookahead_wgpu_tests.js')));
  // wgpu looks for `navigator` where this says that there is a page.
  globalThis.Window = class Window {};
  try {
    await library.default({ module_or_path: await readFile(join(tests, 'lookahead_wgpu_tests_bg.wasm')) });
    remark(await compare((options) => Optimizer.create(options), library));
  } finally {
    delete globalThis.Window;
  }
}));

test('says so where there is no WebGPU, or no adapter', async () => {
  await rejects(undefined, 'NoWebGpu', /^no WebGPU: Node.js has none by itself; with the npm package `webgpu`/);
  await rejects({ requestAdapter: async () => null }, 'NoWebGpu', /found no adapter/);
  await rejects({ requestAdapter: () => { throw new Error('none'); } }, 'NoWebGpu', /found no adapter/);
  await rejects({}, 'NoWebGpu', /found no adapter/);
});

test('an error of the device is told', async () => {
  // A buffer of a usage that there is not.
  const invalid = (device) => {
    const { createBuffer } = device;
    device.createBuffer = (descriptor) => createBuffer.call(device, { ...descriptor, usage: 1 | 64 });
  };
  await rejects(withDevice(invalid), 'Device', /./);
});

test('what throws within a call is told, and the next optimizer works', async () => {
  for (const name of ['createBuffer', 'createShaderModule', 'createComputePipelineAsync', 'createBindGroup', 'pushErrorScope', 'popErrorScope']) {
    const throwing = (device) => { device[name] = () => { throw new RangeError(`no ${name} today`); }; };
    await rejects(withDevice(throwing), 'OutOfMemory', new RegExp(`no ${name} today`));
  }
  await on(dawn, trains);
});

// Nobody but the tests hears of what is thrown.
process.on('unhandledRejection', (error) => { console.error(`FAIL  unhandled: ${error.stack}`); process.exit(1); });
process.on('uncaughtException', (error) => { console.error(`FAIL  uncaught: ${error.stack}`); process.exit(1); });
await runAll(tests);
