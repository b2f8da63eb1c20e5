// Medians, and rows of a table from samples.

import { K, TIMED, lengthOf } from './settings.js';

/** Between two values, the point on the line between them. */
function quantile(values, at) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = at * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place - Math.floor(place));
}

const median = (values) => quantile(values, 0.5);
/** The middle half: how far its ends are apart, relative to the median. */
const spread = (values) => (quantile(values, 0.75) - quantile(values, 0.25)) / median(values);

export const parameters = TIMED.reduce((sum, shape) => sum + lengthOf(shape), 0);

/** What a step must move for each parameter: of Adam seven values, of a sync two more. */
const BYTES = { Adam: 28, 'Lookahead(Adam)': 28 + 8 / K };

/** A row of each peer, beside the first of the same optimizer. */
export function rows(measured) {
  return measured.map(({ peer, optimizer, samples }) => {
    const ours = measured.find((other) => other.optimizer === optimizer);
    const ratios = samples.map((seconds, i) => seconds / ours.samples[i]);
    const bytes = parameters * BYTES[optimizer];
    return {
      optimizer,
      peer,
      ms: 1e3 * median(samples),
      spread: spread(samples),
      bytes,
      gb_per_s: bytes / median(samples) / 1e9,
      ratio: median(ratios),
      ratio_spread: spread(ratios),
      samples: samples.length,
    };
  });
}
