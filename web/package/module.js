// The WebAssembly module, compiled once.

import { words } from './arguments.js';
import { LookaheadError } from './error.js';
import embedded from './wasm.js';

/** The module, or its promise. */
let module;

/** The module, compiled now if it was not before. */
export function compiled(source) {
  module ??= compile(source).then((made) => (module = made), (error) => {
    module = undefined;
    throw error;
  });
  return module;
}

/** The module, if it is compiled. */
export function compiledBefore() {
  if (module instanceof WebAssembly.Module) return module;
  throw new LookaheadError('WebAssembly', 'the WebAssembly module is not compiled yet: `await init()` first, or call `initSync`');
}

/** The same at once. */
export function compiledNow(source) {
  if (module instanceof WebAssembly.Module) return;
  try {
    module = source instanceof WebAssembly.Module ? source : new WebAssembly.Module(source);
  } catch (error) {
    throw failed(error);
  }
}

async function compile(source) {
  try {
    const given = await source;
    if (given instanceof WebAssembly.Module) return given;
    return await WebAssembly.compile(given === undefined ? await unpacked() : await bytes(given));
  } catch (error) {
    throw failed(error);
  }
}

/** The bytes that came with this package. Nothing is fetched, so that nothing need be found or allowed. */
async function unpacked() {
  const text = atob(embedded);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) packed[i] = text.charCodeAt(i);
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

/** The bytes of a caller's own copy. */
async function bytes(source) {
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return source;
  const isAddress = typeof source === 'string' || source instanceof URL || source instanceof Request;
  if (!isAddress && !(source instanceof Response)) {
    throw new Error(`it comes from a WebAssembly.Module, bytes, a Response or an address, and ${words(source)} was given`);
  }
  const response = isAddress ? await fetch(source) : source;
  if (!response.ok) throw new Error(`${response.url} was answered with ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

function failed(cause) {
  const policy = /content security policy|\bcsp\b/i.test(cause?.message)
    ? '; the page\'s Content-Security-Policy must have \'wasm-unsafe-eval\' in its script-src' : '';
  return new LookaheadError('WebAssembly', `the WebAssembly module could not be compiled: ${cause?.message ?? cause}${policy}`, { cause });
}
