// Trajectories of PyTorch and optax, run through the package: `tests/golden` has the files.

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

/** The rule that a run names by its torch class or optax function, with that library's names and defaults. */
function ruleOf({ torch, optax, hyper }) {
  const name = (torch ?? optax).toLowerCase();
  const { learning_rate: lr, b1, b2, ...rest } = Object.fromEntries(Object.entries(hyper).filter(([, value]) => value !== null));
  const renamed = { ...rest, ...(lr === undefined ? {} : { lr }), ...(b1 === undefined ? {} : { betas: [b1, b2] }) };
  // The files are of torch 1.13.
  if (name === 'nadam' && torch) renamed.before_torch_2 = true;
  if (name === 'adamw' && !torch) renamed.weight_decay ??= 1e-4;
  return { name, ...Object.fromEntries(Object.entries(renamed).map(([key, value]) => [camel(key), value])) };
}

/** Runs a file's trajectories with `create`, which makes an optimizer; how many there were, and the largest error. */
export async function golden({ problem, runs }, create) {
  const { shapes, A, b, x0, noise, steps } = problem;
  const names = shapes.map((_, i) => `t${i}`);
  const lengths = shapes.map((shape) => shape.reduce((all, size) => all * size, 1));
  const parts = (values) => lengths.map((length, i) => {
    const begin = lengths.slice(0, i).reduce((all, each) => all + each, 0);
    return Float32Array.from(values.slice(begin, begin + length));
  });
  const gradient = (step, x) => x.map((_, i) => A[i].reduce((sum, a, j) => sum + a * x[j], 0) - b[i] + noise[step][i]);
  let largest = 0;
  for (const run of runs) {
    const { k, alpha, policy } = run;
    const optimizer = await create({
      rule: ruleOf(run),
      ...(k === null ? {} : { lookahead: { k, alpha, policy } }),
      tensors: shapes.map((shape, i) => ({ name: names[i], shape })),
    });
    parts(x0).forEach((values, i) => optimizer.setWeights(names[i], values));
    for (let step = 0; step < steps; step++) {
      const x = (await Promise.all(names.map((name) => optimizer.weights(name)))).flatMap((values) => [...values]);
      if (step > 0) largest = Math.max(largest, errorOf(run, step - 1, x));
      parts(gradient(step, x)).forEach((values, i) => optimizer.setGradient(names[i], values));
      optimizer.step();
    }
    const last = (await Promise.all(names.map((name) => optimizer.weights(name)))).flatMap((values) => [...values]);
    largest = Math.max(largest, errorOf(run, steps - 1, last));
    optimizer.destroy();
    optimizer.free();
  }
  return { count: runs.length, largest };
}

function errorOf(run, step, found) {
  const error = Math.max(...run.x[step].map((value, i) => Math.abs(found[i] - value) / Math.max(1, Math.abs(value))));
  if (!(error < 2e-6)) throw new Error(`${run.rule} ${run.policy ?? 'alone'}: off by ${error} after ${step + 1} steps`);
  return error;
}
