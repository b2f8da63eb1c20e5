// The package and the library on wgpu, beside each other: every rule and every option comes to the same checkpoint.

const STEPS = 7;
const TENSORS = [[5, 7], [130], [3, 4, 5], [], [2, 3, 3, 9], [6, 1]].map((shape, i) => ({ name: `t${i}`, shape }));
const COUNT = TENSORS.reduce((sum, { shape }) => sum + shape.reduce((all, size) => all * size, 1), 0);

const adam = { name: 'adam', lr: 0.01, eps: 1e-4, weightDecay: 0.01 };
const scaled = { initial: 1024, interval: 3 };

const rules = [
  { name: 'sgd', lr: 0.05, weightDecay: 0.01 },
  { name: 'sgd', lr: 0.05, momentum: 0.9, dampening: 0.1 },
  { name: 'sgd', lr: 0.05, momentum: 0.9, nesterov: true },
  { name: 'adagrad', lr: 0.1, lrDecay: 0.01, initialAccumulatorValue: 0.1 },
  { name: 'rmsprop', lr: 0.01, eps: 1e-4 },
  { name: 'rmsprop', lr: 0.01, eps: 1e-4, centered: true, momentum: 0.9 },
  { name: 'adadelta', lr: 1 },
  adam,
  { name: 'adam', lr: 0.01, eps: 1e-4, amsgrad: true },
  { name: 'adamw', lr: 0.01, eps: 1e-4 },
  { name: 'adamax', lr: 0.01 },
  { name: 'nadam', lr: 0.01, eps: 1e-4 },
  { name: 'radam', lr: 0.01 },
  { name: 'ranger', lr: 0.01 },
  { name: 'adabelief', lr: 0.01 },
  { name: 'lion', lr: 0.01, weightDecay: 0.1 },
  { name: 'adafactor', lr: 0.05 },
  { name: 'adafactor', lr: 0.05, minDimSizeToFactor: 4, momentum: 0.9 },
  { name: 'lars', lr: 0.5, weightDecay: 0.01 },
  { name: 'lamb', lr: 0.02, weightDecay: 0.01 },
];

/** What can be had around Adam. */
const options = [
  { clip: { value: 0.3 } },
  { clip: { globalNorm: 0.7 } },
  { clip: { tensorNorm: 0.5 } },
  { transforms: ['centralise', { gradientNoise: { eta: 0.1, seed: 3 } }] },
  { outer: { heavyBall: 0.8 } },
  { outer: { nesterov: 0.9 } },
  { outer: { slowMo: 0.7 } },
  { average: { ema: 0.8 } },
  { average: { polyak: { from: 3 } } },
  { average: { swa: { every: 2, from: 1 } } },
  { adaptiveAlpha: { alphaLow: 0.1 } },
  { adaptiveAlpha: { alphaLow: 0.1, scope: 'tensor', curvature: 'root' } },
  { adaptiveAlpha: { alphaLow: 0.1, gradient: 'lastStep', curvature: { fisher: 0.9 } } },
  { accumulate: { microBatches: 3 } },
  { accumulate: { microBatches: 2, mean: false }, clip: { globalNorm: 0.7 } },
  { centralise: true, maximize: true, gradientNorms: true },
  { guard: true },
  { guard: { lossScale: scaled } },
  { guard: { checkUpdates: true, lossScale: scaled } },
  { guard: true, adaptiveAlpha: { alphaLow: 0.1 } },
  { guard: { lossScale: scaled }, accumulate: { microBatches: 2 }, centralise: true },
  { halfWeights: 'f16' },
  { halfWeights: 'bf16', average: { ema: 0.8 } },
  { halfGradients: 'f16' },
  { halfGradients: 'bf16', guard: { lossScale: scaled } },
  { slowBf16: true },
  { slowBf16: true, outer: { nesterov: 0.9 } },
  { schedule: { steps: [[2, 0.5], [5, 0.1]] } },
  { schedule: { transformer: { width: 64, warmup: 4 } }, guard: true },
];

const cases = [
  ...['maintain', 'interpolate', 'reset'].flatMap((policy) => rules.map((rule) => ({ rule, lookahead: { k: 2, alpha: 0.4, policy } }))),
  ...rules.map((rule) => ({ rule })),
  ...options.map((each) => ({ rule: adam, lookahead: { k: 2, alpha: 0.4 }, ...each })),
].map((each) => ({ ...each, tensors: TENSORS }));

/** Numbers from -1 to 1 that are the same in every run. */
function noise(seed) {
  let state = seed;
  const values = new Float32Array(COUNT);
  for (let i = 0; i < COUNT; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

/** Sets the values of all tensors, which lie one behind the other. */
function each(values, set) {
  let at = 0;
  for (const { name, shape } of TENSORS) {
    const end = at + shape.reduce((all, size) => all * size, 1);
    set(name, values.subarray(at, end));
    at = end;
  }
}

async function ofPackage(create, options, weights, gradients) {
  const optimizer = await create(options);
  each(weights, (name, values) => optimizer.setWeights(name, values));
  for (const gradient of gradients) {
    each(gradient, (name, values) => optimizer.setGradient(name, values));
    optimizer.step();
  }
  const bytes = await optimizer.save();
  optimizer.destroy();
  optimizer.free();
  return bytes;
}

/** Runs every case with `create`, which makes an optimizer of the package's, and with the library's tests on wgpu. */
export async function compare(create, { checkpoint }) {
  const weights = noise(1);
  const gradients = Array.from({ length: STEPS }, (_, step) => noise(100 + step));
  // One that a guard skips.
  gradients[4][40] = NaN;
  for (const options of cases) {
    const steps = options.guard ? gradients : gradients.filter((_, step) => step !== 4);
    const ours = await ofPackage(create, options, weights, steps);
    const due = await checkpoint(JSON.stringify(options), weights, steps);
    const isSame = ours.length === due.length && ours.every((byte, i) => byte === due[i]);
    if (!isSame) throw new Error(`another checkpoint than on wgpu: ${JSON.stringify({ ...options, tensors: undefined })}`);
  }
  return `${cases.length} checkpoints of ${STEPS} steps`;
}
