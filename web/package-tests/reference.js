// Rules, Lookahead and clipping in JavaScript's own doubles, to compare with.

export const sgd = ({ lr, momentum = 0 }) => ({
  slots: 1,
  move: (g, [velocity], i) => {
    velocity[i] = momentum * velocity[i] + g;
    return lr * velocity[i];
  },
});

export const adam = ({ lr, betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }) => ({
  slots: 2,
  move: (g, [mean, square], i, step) => {
    mean[i] = beta1 * mean[i] + (1 - beta1) * g;
    square[i] = beta2 * square[i] + (1 - beta2) * g * g;
    const root = Math.sqrt(square[i] / (1 - beta2 ** step));
    return lr * mean[i] / (1 - beta1 ** step) / (root + eps);
  },
});

/** `torch.nn.utils.clip_grad_norm_`. */
export const globalNorm = (max) => (gradient) => {
  const norm = Math.hypot(...gradient);
  return gradient.map((g) => g * Math.min(1, max / (norm + 1e-6)));
};

/** Steps from `start` down `gradient`. The weights and the slow ones. */
export function descend(rule, start, gradient, steps, options = {}) {
  const { k = 5, alpha = 0.5, policy = 'maintain', factor = () => 1, clip = (g) => g } = options;
  const zeros = () => Array.from({ length: rule.slots }, () => start.map(() => 0));
  let [state, slowState, counted] = [zeros(), zeros(), 0];
  let [weights, slow] = [[...start], [...start]];
  const towards = (from, to) => from.map((value, i) => value + alpha * (to[i] - value));
  for (let step = 0; step < steps; step++) {
    counted += 1;
    const gradients = clip(gradient(weights));
    weights = weights.map((value, i) => value - factor(step) * rule.move(gradients[i], state, i, counted));
    if ((step + 1) % k > 0) continue;
    slow = towards(slow, weights);
    weights = [...slow];
    if (policy === 'interpolate') {
      slowState = slowState.map((values, slot) => towards(values, state[slot]));
      state = slowState.map((values) => [...values]);
    } else if (policy === 'reset') {
      [state, counted] = [zeros(), 0];
    }
  }
  return { weights, slow };
}
