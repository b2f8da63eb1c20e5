// Every kernel in Dawn, Chromium's WebGPU, for Node.js: `node web/tests/dawn.mjs`, after `cargo xtask web --test`.
//
// Without a driver: its compiler, Tint, checks each module and pipeline, and nothing is made for a device.

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from 'webgpu';
import { make, open } from './pipelines.mjs';
import { needs } from './runner.mjs';

const dist = resolve(fileURLToPath(import.meta.url), '../../dist/tests');
needs(dist, 'cargo xtask web --test');
const tests = await import(`${dist}/lookahead_wgpu_tests.js`);
tests.initSync({ module: await readFile(`${dist}/lookahead_wgpu_tests_bg.wasm`) });
const kernels = JSON.parse(tests.kernels());
// Dawn ends with the last that holds it.
const gpu = create(['backend=null']);
const { device, label } = await open(gpu);
const { problems, pipelines } = await make(device, kernels);
for (const problem of problems) console.error(`FAIL  ${problem}`);
console.log(`${label}: ${kernels.length} kernels, ${pipelines} pipelines, ${problems.length} problems`);
process.exit(problems.length > 0 || kernels.length === 0 || pipelines < 2 * kernels.length ? 1 : 0);
