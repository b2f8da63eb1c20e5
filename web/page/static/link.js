// Links that carry the settings: `#run=adam,0.003,5,0.5,maintain&run=adam,0.003&epochs=20&...`.
//
// Anybody may have written one: what the form would not take is refused.

import { MOST } from './runs.js';

export const SHARED = ['epochs', 'seed', 'batch', 'hidden'];

/** The settings as the part of an address after `#`. */
export function written(runs, shared) {
  const parts = new URLSearchParams();
  for (const { rule, learning_rate: rate, lookahead, adaptive } of runs) {
    parts.append('run', [rule, rate, ...(lookahead ?? []), ...(adaptive ? [adaptive.alpha_low] : [])].join(','));
  }
  for (const name of SHARED) parts.append(name, String(shared[name]));
  // A comma is as good as it is.
  return parts.toString().replaceAll('%2C', ',');
}

/**
 * The settings that a link carries, or nothing where it carries none; throws what is wrong with them. `form` says what it
 * takes, and makes a run's settings.
 */
export function read(text, form) {
  const parts = new URLSearchParams(text);
  const known = ['run', ...SHARED];
  for (const name of parts.keys()) {
    if (!known.includes(name)) throw new Error(`it has "${shown(name)}", which is no setting`);
  }
  const runs = parts.getAll('run');
  if (runs.length > MOST) throw new Error(`it has ${runs.length} runs, and ${MOST} are the most`);
  const shared = SHARED.filter((name) => parts.has(name)).map((name) => [name, number(form, name, parts.get(name))]);
  if (runs.length + shared.length === 0) return null;
  return { runs: runs.map((run) => settings(run, form)), shared: Object.fromEntries(shared) };
}

function settings(text, form) {
  const [rule, rate, k, alpha, policy, least, ...more] = text.split(',');
  const isWhole = rate !== undefined && (k === undefined || policy !== undefined) && more.length === 0;
  if (!isWhole) throw new Error(`"${shown(text)}" is no run: a rule and its learning rate, and k, alpha and policy of Lookahead`);
  choice(form, 'rule', rule);
  if (policy !== undefined) choice(form, 'policy', policy);
  return form.made({
    rule,
    learning_rate: number(form, 'learning_rate', rate),
    lookahead: k === undefined ? null : [number(form, 'k', k), number(form, 'alpha', alpha), policy],
    alpha_low: least === undefined ? null : number(form, 'alpha_low', least),
  });
}

function choice(form, name, value) {
  if (!form.offers(name, value)) throw new Error(`there is no ${name} "${shown(value)}"`);
}

function number(form, name, text) {
  if (!form.takes(name, text)) throw new Error(`"${shown(text)}" is no ${name.replace('_', ' ')} that the form takes`);
  return Number(text);
}

/** Not more of it than can be shown. */
function shown(text) {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
