// What optimizers of other libraries' kinds have in common.

import { LookaheadError } from './error.js';

export const refuse = (message) => { throw new LookaheadError('Argument', message); };

/** Refuses options that a library decides itself, or that its gradients do not fit. */
export function checkOptions(options, library) {
  const unfit = {
    device: `the device is ${library}'s`,
    tensors: 'the tensors are those that it trains',
    groups: 'they are in none',
    halfGradients: 'its gradients are f32',
  };
  for (const [name, why] of Object.entries(unfit)) {
    if (options[name] !== undefined) refuse(`\`${name}\` is no option here: ${why}`);
  }
  if (options.guard?.lossScale) refuse(`\`lossScale\` is no option here: nothing multiplies ${library}'s loss by it`);
}
