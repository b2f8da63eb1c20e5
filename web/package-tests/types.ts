// Options and calls as TypeScript knows them. It is compiled, never run.

import init, {
  initSync, LookaheadError, NonMonotone, Optimizer, type Counters, type Field, type LoadOptions, type Numbers, type OptimizerOptions, type OwnRule,
  type Place, type Rule,
  type Schedule, type Source,
} from 'lookahead-wgpu';

const rules: Rule[] = [
  { name: 'sgd', lr: 0.1, momentum: 0.9, nesterov: true },
  { name: 'adam', betas: [0.9, 0.999], amsgrad: true },
  { name: 'adafactor', lr: 0.01, clippingThreshold: null },
  // @ts-expect-error SGD has no default learning rate.
  { name: 'sgd' },
  // @ts-expect-error There is no such rule.
  { name: 'adm' },
];
const options: OptimizerOptions = {
  rule: rules[0]!,
  tensors: [{ name: 'w', shape: [3, 2] }, { name: 'b', shape: [], group: 'biases' }],
  lookahead: { k: 5, alpha: 0.5, policy: 'interpolate' },
  groups: [{ name: 'biases', weightDecay: 0, learningRateFactor: 2, hyperparameters: { betas: [0.8, 0.9], amsgrad: true }, maximize: false }],
  schedule: { cosine: { warmup: 10, total: 100 } },
  clip: { globalNorm: 1 },
  adaptiveAlpha: { alphaLow: 0.2, curvature: { fisher: 0.9 }, scope: 'tensor' },
  average: { swa: { every: 5 } },
  accumulate: { microBatches: 2 },
  maximize: true,
  gradientNorms: true,
  guard: { checkUpdates: true, lossScale: { initial: 1024 } },
  halfWeights: 'f16',
  halfGradients: 'bf16',
  slowBf16: true,
};
// @ts-expect-error A policy is one of three.
const policy: OptimizerOptions['lookahead'] = { policy: 'keep' };

export async function train(): Promise<number[]> {
  const sources: Source[] = [new URL('https://example.org/'), new Uint8Array(), new Response()];
  await init(sources[0]);
  initSync(new ArrayBuffer(8));
  const optimizer: Optimizer = await Optimizer.create(options);
  const device: GPUDevice = optimizer.device;
  optimizer.setGradient('w', new Float32Array(6));
  for (const { buffer, offset, size } of optimizer.gradientSlices('w')) {
    device.queue.writeBuffer(buffer, offset, new Float32Array(size / 4));
  }
  optimizer.step();
  const page: GPUDevice = device;
  const encoder: GPUCommandEncoder = page.createCommandEncoder();
  optimizer.step(encoder);
  const place: Place = { buffer: page.createBuffer({ size: 64, usage: 1 }), offset: 4 };
  const own: OwnRule = { name: 'mine', wgsl: 'fn update() {}', lr: 0.1, slots: [{ name: 'm' }], hyper: (count) => [1 / count] };
  const borrowed = Optimizer.createSync({ device: page, rule: own, tensors: [{ name: 'w', shape: [2], weights: place, gradients: place }] });
  borrowed.borrow([{ name: 'w', gradients: { buffer: place.buffer } }]);
  borrowed.setSchedule((step) => 1 / (1 + step));
  // @ts-expect-error A place has a buffer.
  borrowed.borrow([{ name: 'w', gradients: { offset: 4 } }]);
  const values: Numbers = [1, 2];
  optimizer.setWeights('w', values);
  optimizer.setWeights('w', new Float64Array(6));
  // @ts-expect-error Text is not numbers.
  optimizer.setWeights('w', '12');
  // @ts-expect-error `create` makes optimizers.
  new Optimizer();
  const { steps, groups }: Counters = await optimizer.counters();
  const [position]: (number | undefined)[] = groups.map((group) => group.position);
  const field: Field = 'state.exp_avg';
  const [slow, state]: Float32Array[] = [await optimizer.slowWeights('w'), await optimizer.read(field, 'w')];
  const all: Float32Array[] = await optimizer.readAll(field);
  optimizer.syncLastStep();
  optimizer.syncLastStep(encoder);
  // @ts-expect-error There is no such field.
  void optimizer.read('weight', 'w');
  const checkpoint: Uint8Array = await optimizer.save();
  optimizer.load(checkpoint);
  const loading: LoadOptions = { beginLookahead: true, endAverage: true };
  optimizer.load(checkpoint.buffer, loading);
  const schedule: Schedule = { steps: [[10, 0.5]] };
  optimizer.setSchedule(schedule);
  optimizer.setSchedule();
  optimizer.setRule({ name: 'adam', lr: 0.1 }, 'biases');
  optimizer.setFrozen(optimizer.isFrozen('biases'), 'biases');
  const [k, flushed, accumulated]: [number | undefined, boolean, number] = [optimizer.k(), optimizer.flush(), optimizer.discard()];
  const [norms, alphas]: [number[], (number | null)[]] = [await optimizer.gradientNorms(), await optimizer.alphas()];
  console.log(k, flushed, accumulated, norms, alphas);
  const trigger = NonMonotone.from(new NonMonotone().toJSON());
  if (trigger.observe(0.5) && trigger.hasTriggered) optimizer.beginAverage(encoder);
  // @ts-expect-error A loss is a number.
  trigger.observe('low');
  const numbers: number[] = [optimizer.steps, optimizer.position(), await optimizer.skipped(), optimizer.learningRate('biases')];
  optimizer.lost().then((why: string) => console.log(why, policy, slow, state, all));
  try {
    optimizer.setK(3);
  } catch (error) {
    if (error instanceof LookaheadError) console.log(error.kind, steps, position);
  }
  return numbers;
}
