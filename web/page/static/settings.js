// Settings of a run as the npm package takes them.

/** `weight_decay` as `weightDecay`. */
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** What new Lookahead is: k, alpha and the policy. */
export const USUAL = [5, 0.5, 'maintain'];

/** A rule of the engine's choices, alone. */
export function alone({ settings }, lr) {
  const entries = Object.entries(settings).map(([name, value]) => [camel(name), value]);
  return { rule: { ...Object.fromEntries(entries), lr } };
}

/** The same in Lookahead. */
export function within(choice, lr, [k, alpha, policy], adaptive = null) {
  const { alpha_low: alphaLow, ...others } = adaptive ?? {};
  return {
    ...alone(choice, lr),
    lookahead: { k, alpha, policy },
    ...(adaptive && { adaptiveAlpha: { alphaLow, ...others } }),
  };
}
