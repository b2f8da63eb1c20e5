// The map of the loss on a plane, with the paths of fast and slow weights on it, on a canvas.

import { square } from './lab/plane.js';

/** Bands of colour, between which there are contours. */
const BANDS = 14;
/** Pixels of the map's picture in a row, of which each is one of these colours. */
const PIXELS = 280;

export class LossMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    this.clear();
  }

  clear() {
    Object.assign(this, { fast: [], slow: [], frame: null, grid: 0, losses: [] });
    this.draw();
  }

  /** Takes the paths in, as far as they go; until there is a map they fill the square. */
  walk(fast, slow) {
    Object.assign(this, { fast, slow });
    this.draw();
  }

  begin(frame, grid) {
    Object.assign(this, { frame, grid, losses: [] });
    this.draw();
  }

  /** Takes the next row in. */
  add(losses) {
    this.losses.push(...losses);
    this.draw();
  }

  /** The least and the largest loss on the map, where there are any. */
  get range() {
    const losses = this.losses.filter(Number.isFinite);
    return losses.length > 0 ? [Math.min(...losses), Math.max(...losses)] : null;
  }

  draw() {
    const { context, canvas } = this;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    context.fillStyle = colour('--back');
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (this.losses.length > 0) this.#fill(colour('--map-low'), colour('--map-high'));
    const points = [...this.fast.flat(), ...this.slow];
    if (points.length === 0) return;
    const frame = this.frame ?? square(points);
    const place = ([x, y]) => [
      canvas.width * (x - frame.left) / frame.side, canvas.height * (1 - (y - frame.bottom) / frame.side),
    ];
    const on = (path) => path.map(place);
    const casing = colour('--card');
    const [fast, slow] = [this.fast.map(on), on(this.slow)];
    for (const path of fast) this.#line(path, colour('--ink'), casing, 4, [10, 7]);
    this.#line(slow, colour('--run-1'), casing, 5.5);
    // Slow weights may lie on fast ones, which are seen within them.
    this.#dots(slow, colour('--run-1'), casing, 9);
    for (const path of fast) this.#dots(path, colour('--ink'), casing, 4.5);
  }

  /** A path, on a wider one of another colour. */
  #line(points, colour, casing, width, dash = []) {
    const { context } = this;
    for (const [style, size, dashes] of [[casing, width + 4, []], [colour, width, dash]]) {
      Object.assign(context, { strokeStyle: style, lineWidth: size, lineJoin: 'round' });
      context.setLineDash(dashes);
      context.beginPath();
      for (const point of points) context.lineTo(...point);
      context.stroke();
    }
  }

  #dots(points, colour, casing, radius) {
    const { context } = this;
    for (const [x, y] of points) {
      for (const [style, size] of [[casing, radius + 2], [colour, radius]]) {
        context.fillStyle = style;
        context.beginPath();
        context.arc(x, y, size, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }

  /** The rows that are there, as bands of the loss's logarithm. */
  #fill(low, high) {
    const rows = this.losses.length / this.grid;
    const [least, largest] = this.range ?? [1, 1];
    const shades = shadesOf(this.context, low, high);
    const reach = Math.log(largest / least) || 1;
    const level = (loss) => (Number.isFinite(loss) ? Math.log(loss / least) / reach : 1);
    const levels = this.losses.map(level);
    const picture = new ImageData(PIXELS, PIXELS);
    const pixels = new Uint32Array(picture.data.buffer);
    const last = this.grid - 1;
    const top = Math.round(PIXELS * (1 - (rows - 1) / last));
    for (let row = top; row < PIXELS; row++) {
      const [y, v] = split((PIXELS - 1 - row) / (PIXELS - 1) * last, rows - 1);
      for (let column = 0; column < PIXELS; column++) {
        const [x, u] = split(column / (PIXELS - 1) * last, last);
        const at = y * this.grid + x;
        const below = levels[at] * (1 - u) + levels[at + 1] * u;
        const above = rows > 1 ? levels[at + this.grid] * (1 - u) + levels[at + this.grid + 1] * u : below;
        const band = Math.min(BANDS - 1, Math.floor((below * (1 - v) + above * v) * BANDS));
        pixels[row * PIXELS + column] = shades[band];
      }
    }
    const canvas = new OffscreenCanvas(PIXELS, PIXELS);
    canvas.getContext('2d').putImageData(picture, 0, 0);
    this.context.drawImage(canvas, 0, 0, this.canvas.width, this.canvas.height);
  }
}

/** The whole part, so that another comes after it, and the rest. */
function split(value, last) {
  const whole = Math.max(0, Math.min(Math.floor(value), last - 1));
  return [whole, Math.max(0, value - whole)];
}

/** Colours from one to the other, as a picture has them in its words. */
function shadesOf(context, low, high) {
  const bytes = (colour) => {
    // Whatever it is written as, it is read as #rrggbb.
    context.fillStyle = colour;
    return [1, 3, 5].map((at) => parseInt(context.fillStyle.slice(at, at + 2), 16));
  };
  const [from, to] = [bytes(low), bytes(high)];
  return Array.from({ length: BANDS }, (_, band) => {
    const share = band / (BANDS - 1);
    const mixed = from.map((value, i) => Math.round(value + share * (to[i] - value)));
    return new Uint32Array(Uint8Array.of(...mixed, 255).buffer)[0];
  });
}
