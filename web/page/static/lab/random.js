// Random numbers of a seed, for weights to begin with and for the order of images.

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** So many indices below `count`: each of them once, in one order after the other. */
export function shuffled(length, count, next) {
  const order = new Uint32Array(length);
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < length; i++) {
    const at = i % count;
    const other = at + Math.floor(next() * (count - at));
    [all[at], all[other]] = [all[other], all[at]];
    order[i] = all[at];
  }
  return order;
}
