// What tests in a page check with.

import { LookaheadError } from '../dist/package/lookahead_wgpu.js';

const TOLERANCE = 1e-5;

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

/** The largest difference, of numbers relative to those above 1. */
export function difference(found, expected) {
  assert(found.length === expected.length, `${found.length} values, not ${expected.length}`);
  return Math.max(...expected.map((value, i) => Math.abs(found[i] - value) / Math.max(1, Math.abs(value))));
}

export function near(found, expected, what) {
  const error = difference(found, expected);
  assert(error < TOLERANCE, `${what}: off by ${error}: ${[...found]} is not ${[...expected]}`);
  return error;
}

/** What was thrown: an `Error` with the library's message. */
export async function thrown(call, kind, message) {
  let error;
  try {
    await call();
  } catch (caught) {
    error = caught;
  }
  assert(error !== undefined, `nothing was thrown for ${call}`);
  assert(error instanceof Error && error instanceof LookaheadError, `for ${call}, ${error} was thrown`);
  assert(error.name === 'LookaheadError' && String(error).startsWith('LookaheadError: '), `${error}`);
  assert(error.kind === kind, `for ${call}, the kind is ${error.kind}: ${error.message}`);
  assert(message.test(error.message), `for ${call}, the message is: ${error.message}`);
  return error.message;
}
