// What all peers are told, and what they step.

/** Steps of a cycle. */
export const K = 5;
export const ALPHA = 0.5;
export const ADAM = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** What is timed. */
export const TIMED = Array.from({ length: 64 }, () => [256, 256]);
/** What is checked: lengths that are no multiples of a vector, too. */
export const CHECKED = [[7, 5], [13]];

export const lengthOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** Numbers in [-1, 1) that look random: memory of zeros can be read faster than any other. */
export function noise(length, seed) {
  // Mulberry32.
  let state = Math.imul(seed + 1, 0x9e3779b9);
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 8) / 2 ** 23 - 1;
  });
}

export const weightsOf = (shapes) => shapes.map((shape, i) => noise(lengthOf(shape), 2 * i));
export const gradientsOf = (shapes) => shapes.map((shape, i) => noise(lengthOf(shape), 2 * i + 1));
