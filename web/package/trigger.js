// When an average begins that is triggered by the losses: the library's `average::NonMonotone`, which needs no WebAssembly.

import { number, object, words } from './arguments.js';
import { LookaheadError } from './error.js';

function interval(value) {
  if (Number.isInteger(value) && value >= 0) return value;
  throw new LookaheadError('Argument', `the interval of \`NonMonotone\` must be a whole number from 0, and is ${words(value)}`);
}

export class NonMonotone {
  #interval;
  /** The least of the losses that came more than so many evaluations ago, if there is one. */
  #least = Infinity;
  /** The last losses, the oldest first. */
  #recent = [];
  #hasTriggered = false;

  constructor(n = 5) {
    this.#interval = interval(n);
  }

  get hasTriggered() {
    return this.#hasTriggered;
  }

  observe(loss) {
    number(loss, 'observe', 'loss');
    const triggers = !this.#hasTriggered && loss > this.#least;
    this.#hasTriggered ||= triggers;
    // No loss is above an infinite one, nor compared with one that is no number.
    this.#recent.push(Number.isNaN(loss) ? Infinity : loss);
    while (this.#recent.length > this.#interval) this.#least = Math.min(this.#least, this.#recent.shift());
    return triggers;
  }

  /** As the library saves it: JSON has no infinity. */
  toJSON() {
    const saved = (loss) => (loss < Infinity ? Math.max(loss, -Number.MAX_VALUE) : null);
    return {
      interval: this.#interval, least: saved(this.#least), recent: this.#recent.map(saved), has_triggered: this.#hasTriggered,
    };
  }

  static from(saved) {
    object(saved, 'from', 'saved');
    const trigger = new NonMonotone(saved.interval);
    const losses = [saved.least, ...(Array.isArray(saved.recent) ? saved.recent : [NaN])].map((loss) => loss ?? Infinity);
    if (!losses.every((loss) => loss === Infinity || Number.isFinite(loss)) || typeof saved.has_triggered !== 'boolean') {
      throw new LookaheadError('Argument', '`saved` of `from` must be what `toJSON` of a `NonMonotone` gave');
    }
    [trigger.#least, ...trigger.#recent] = losses;
    trigger.#hasTriggered = saved.has_triggered;
    return trigger;
  }
}
