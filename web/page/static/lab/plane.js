// A plane in the space of weights, in doubles: through three points, and where others are on it.

const less = (a, b) => Float64Array.from(a, (value, i) => value - b[i]);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const scaled = (a, factor) => a.map((value) => value * factor);
const length = (a) => Math.sqrt(dot(a, a));

/** How far from a line, over its length, a point spans a plane with it: what is nearer may be f32's rounding. */
const LEAST = 1e-4;

/**
 * The plane through the first and the last of these points, and the middle one: or, where that lies on their line, the
 * one of `others` that is farthest from it. Nothing where all are on one line.
 */
export function through(first, middle, last, others = []) {
  const along = less(last, first);
  const extent = length(along);
  if (!(extent > 0)) return null;
  const right = scaled(along, 1 / extent);
  const away = (point) => {
    const from = less(point, first);
    return less(from, scaled(right, dot(from, right)));
  };
  let up = away(middle);
  if (length(up) < LEAST * extent) {
    const all = others.map(away);
    up = all.reduce((best, each) => (length(each) > length(best) ? each : best), up);
  }
  const height = length(up);
  return height < LEAST * extent ? null : { origin: Float64Array.from(first), right, up: scaled(up, 1 / height) };
}

/** Where weights are on a plane: their nearest point's coordinates. */
export function onPlane({ origin, right, up }, weights) {
  const from = less(weights, origin);
  return [dot(from, right), dot(from, up)];
}

/** A square around points, with some room: its lower left corner and its side. */
export function square(points, room = 0.35) {
  const range = (axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  };
  const [[left, right], [bottom, top]] = [range(0), range(1)];
  const side = Math.max(right - left, top - bottom) * (1 + 2 * room);
  return { left: (left + right - side) / 2, bottom: (bottom + top - side) / 2, side };
}
