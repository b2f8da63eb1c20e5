// What calls are given, read before the module sees it: WebAssembly makes 0 of a word and nothing of `null`, without a word.

import { LookaheadError } from './error.js';

/** How many objects and arrays options have within each other at most. */
const DEPTH = 6;

/** A value in words. */
export function words(value) {
  try {
    return described(value);
  } catch {
    return 'an object that cannot be looked at';
  }
}

function described(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'string': return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)}`;
    case 'number': case 'boolean': return String(value);
    case 'bigint': return `the bigint ${value}n`;
    case 'function': return 'a function';
    case 'symbol': return 'a symbol';
    default: return `an object (${Object.prototype.toString.call(value).slice(8, -1)})`;
  }
}

const refuse = (call, name, expected, found) => {
  throw new LookaheadError('Argument', `\`${name}\` of \`${call}\` must be ${expected}, and ${found}`);
};

/** What `read` gives; where it throws, since a caller's object does, words of ours. */
function attempt(read, what) {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof LookaheadError) throw cause;
    throw new LookaheadError('Argument', `${what} could not be read: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(cause) {
  try {
    return String(cause?.message ?? 'something was thrown');
  } catch {
    return 'something was thrown';
  }
}

const isView = (value) => ArrayBuffer.isView(value) && !(value instanceof DataView);

export function text(value, call, name) {
  return typeof value === 'string' ? value : refuse(call, name, 'a text', `is ${words(value)}`);
}

export function number(value, call, name) {
  return typeof value === 'number' ? value : refuse(call, name, 'a number', `is ${words(value)}`);
}

export function flag(value, call, name) {
  return typeof value === 'boolean' ? value : refuse(call, name, 'true or false', `is ${words(value)}`);
}

/** An object of options. */
export function object(value, call, name) {
  const what = `\`${name}\` of \`${call}\``;
  if (typeof value !== 'object' || value === null) refuse(call, name, 'an object', `is ${words(value)}`);
  return attempt(() => plain(value, DEPTH, what), what);
}

/** The same; left out, nothing. */
export function maybeObject(value, call, name) {
  return value === undefined || value === null ? undefined : object(value, call, name);
}

/** Tensors, each with where its values lie. */
export function places(value, call, name) {
  if (!Array.isArray(value)) refuse(call, name, 'an array, as [{ name: \'w\', gradients: { buffer, offset: 0 } }]', `is ${words(value)}`);
  const what = `\`${name}\` of \`${call}\``;
  return attempt(() => plain(value, DEPTH, what), what);
}

/** An encoder of the page's; left out, one of our own. */
export function encoder(value, call, name) {
  if (value === undefined || value === null) return undefined;
  return attempt(() => kindOf(value), `\`${name}\` of \`${call}\``) === 'GPUCommandEncoder' ? value : refuse(call, name, 'a GPUCommandEncoder', `is ${words(value)}`);
}

/** A device of the page's; left out, one is opened. */
export function device(value) {
  if (value === undefined || value === null || attempt(() => kindOf(value), '`device`') === 'GPUDevice') return value ?? undefined;
  throw new LookaheadError('Argument', `the optimizer's options: \`device\` must be a GPUDevice, and is ${words(value)}`);
}

/** By name, since what comes from Node.js comes without the classes. */
const kindOf = (value) => value?.constructor?.name;

/** A schedule, which may be a function; left out, the constant one. */
export function schedule(value, call, name) {
  if (typeof value === 'function' || value === 'constant') return value;
  if (typeof value !== 'object' && value !== undefined) refuse(call, name, 'an object or a function', `is ${words(value)}`);
  return maybeObject(value, call, name);
}

/** A group's name; left out, the default group. */
export function group(value, call, name) {
  return value === undefined || value === null ? undefined : text(value, call, name);
}

/** Numbers as the GPU has them. */
export function floats(value, call, name) {
  const what = `\`${name}\` of \`${call}\``;
  const expected = 'a Float32Array, or an array of numbers';
  return attempt(() => {
    if (!Array.isArray(value) && !isView(value)) refuse(call, name, expected, `is ${words(value)}`);
    // One whose buffer is gone has no elements, and cannot be copied from.
    if (value instanceof Float32Array) return value.length > 0 ? value : new Float32Array();
    for (let i = 0; i < value.length; i += 1) {
      if (typeof value[i] !== 'number') refuse(call, name, expected, `its element ${i} is ${words(value[i])}`);
    }
    return Float32Array.from(value);
  }, what);
}

/** Bytes, whatever they are seen as. */
export function bytes(value, call, name) {
  return attempt(() => {
    const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
    const kind = Object.prototype.toString.call(buffer);
    if (kind !== '[object ArrayBuffer]' && kind !== '[object SharedArrayBuffer]') {
      refuse(call, name, 'an ArrayBuffer, or a view of one as a Uint8Array is', `is ${words(value)}`);
    }
    return ArrayBuffer.isView(value) ? new Uint8Array(buffer, value.byteOffset, value.byteLength) : new Uint8Array(buffer);
  }, `\`${name}\` of \`${call}\``);
}

/** Options: as plain objects and arrays, without what is `undefined`, since that means the same as left out. */
export function options(value) {
  const what = 'the optimizer\'s options';
  if (typeof value !== 'object' || value === null) {
    throw new LookaheadError('Argument',
      `${what}: they must be an object, as { rule: { name: 'adam' }, tensors: [{ name: 'w', shape: [2] }] }, and are ${words(value)}`);
  }
  return attempt(() => plain(value, DEPTH, what), what);
}

function plain(value, depth, what) {
  if (typeof value !== 'object' || value === null) return value;
  // What is the GPU's goes as it is.
  if (/^GPU[A-Z]/.test(kindOf(value))) return value;
  if (depth === 0) {
    throw new LookaheadError('Argument', `${what}: more than ${DEPTH} objects and arrays within each other`);
  }
  if (!(value instanceof Map) && typeof value[Symbol.iterator] === 'function') {
    return Array.from(value, (item) => plain(item, depth - 1, what));
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined).map(([name, item]) => [name, plain(item, depth - 1, what)]));
}
