// What `deno.mjs` runs in Deno.

import { Optimizer } from '../dist/package/lookahead_wgpu.js';
import { golden } from './golden.js';

const here = new URL('.', import.meta.url);
let failed = 0;

async function test(name, run) {
  try {
    const told = await run();
    console.log(`${told ? `      ${told}\n` : ''}ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.error(`FAIL  ${name}\n${error.stack}`);
  }
}

await test('meets trajectories of PyTorch and optax', async () => {
  const told = [];
  for (const name of ['torch', 'optax']) {
    const file = JSON.parse(await Deno.readTextFile(new URL(`../../tests/golden/${name}.json`, here)));
    // A fourth of them: of every rule one.
    const runs = file.runs.filter((_, i) => i % 4 === 0);
    told.push(await golden({ ...file, runs }, (options) => Optimizer.create(options)));
  }
  const [count, largest] = [told.reduce((all, each) => all + each.count, 0), Math.max(...told.map((each) => each.largest))];
  return `${count} trajectories, largest error ${largest.toExponential(1)}`;
});

await test('works on a device of the program\'s, and refuses in words', async () => {
  const device = await (await navigator.gpu.requestAdapter()).requestDevice();
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const pool = device.createBuffer({ size: 256, usage });
  const optimizer = await Optimizer.create({
    device, rule: { name: 'sgd', lr: 0.5 }, tensors: [{ name: 'w', shape: [2], weights: { buffer: pool }, gradients: { buffer: pool, offset: 16 } }],
  });
  device.queue.writeBuffer(pool, 0, new Float32Array([1, 2, 0, 0, 2, 4]));
  const encoder = device.createCommandEncoder();
  optimizer.step(encoder);
  device.queue.submit([encoder.finish()]);
  const [first, second] = await optimizer.weights('w');
  if (first !== 0 || second !== 0) throw new Error(`${first}, ${second}`);
  let error;
  try {
    optimizer.borrow([{ name: 'w', gradients: { buffer: pool, offset: 3 } }]);
  } catch (caught) {
    error = caught;
  }
  if (error?.kind !== 'Range') throw new Error(`${error}`);
  const { adapter } = optimizer;
  optimizer.destroy();
  device.destroy();
  return adapter;
});

Deno.exit(failed > 0 ? 1 : 0);
