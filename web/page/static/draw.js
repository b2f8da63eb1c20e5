// A drawing of strokes, and the small image that a network sees of it.

/** Small dots that an image's pixel is made of, in a row: four by four, counted, as the UCI digits were made. */
const DOTS = 4;
/** What one press of an arrow key moves the pen by. The surface is 1 wide and 1 high. */
const STRIDE = 0.05;
/** How wide the pen is on the surface. */
const PEN = 0.085;
/**
 * How much of a UCI digit's image is ink: on average 303 to 330 of 1024 dots, whichever the digit, so that a 1 has
 * wider lines than an 8.
 */
const INK = 313 / 1024;
/** The widths of lines to choose from, where the image is 1 wide. */
const PENS = [0.1, 0.35];

export class Pad {
  /** Calls `changed` whenever the drawing changes. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.changed = changed;
    this.strokes = [];
    this.pen = { at: [0.5, 0.2], isDown: false, isShown: false };
    this.listen();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.paint());
  }

  listen() {
    const { canvas } = this;
    const place = (event) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      return [(event.clientX - left) / width, (event.clientY - top) / height];
    };
    // A second finger is not the primary one, and draws nothing.
    canvas.addEventListener('pointerdown', (event) => {
      if (!event.isPrimary) return;
      canvas.setPointerCapture(event.pointerId);
      this.pen = { at: place(event), isDown: true, isShown: false };
      this.strokes.push([place(event)]);
      this.update();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!event.isPrimary || !canvas.hasPointerCapture(event.pointerId)) return;
      // Nothing is left of a stroke that was cleared while it was drawn.
      this.strokes.at(-1)?.push(...(event.getCoalescedEvents?.() ?? [event]).map(place), place(event));
      this.update();
    });
    canvas.addEventListener('lostpointercapture', () => { this.pen.isDown = false; });
    canvas.addEventListener('keydown', (event) => { if (this.press(event.key)) event.preventDefault(); });
    canvas.addEventListener('blur', () => { this.pen.isShown = this.pen.isDown = false; this.paint(); });
  }

  /** A key; whether it means something here. */
  press(key) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { pen } = this;
    if (key in moves) {
      pen.at = pen.at.map((value, i) => Math.min(1, Math.max(0, value + STRIDE * moves[key][i])));
      if (pen.isDown) this.strokes.at(-1).push(pen.at);
    } else if (key === ' ') {
      pen.isDown = !pen.isDown;
      if (pen.isDown) this.strokes.push([pen.at]);
    } else if (key === 'Delete' || key === 'Backspace') {
      this.clear();
      return true;
    } else {
      return false;
    }
    pen.isShown = true;
    this.update();
    return true;
  }

  clear() {
    this.strokes = [];
    this.pen.isDown = false;
    this.update();
  }

  update() {
    this.paint();
    this.changed();
  }

  paint() {
    const { canvas, context, pen } = this;
    const style = getComputedStyle(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = style.color;
    trace(context, this.strokes, canvas.width, [0, 0], PEN * canvas.width);
    if (pen.isShown) {
      context.beginPath();
      context.arc(pen.at[0] * canvas.width, pen.at[1] * canvas.height, 0.6 * PEN * canvas.width, 0, 7);
      context.lineWidth = 3;
      context.strokeStyle = style.getPropertyValue('--accent');
      context.stroke();
    }
  }
}

/** Draws strokes, enlarged and then moved. */
function trace(context, strokes, scale, [x, y], width) {
  Object.assign(context, { lineWidth: width, lineCap: 'round', lineJoin: 'round' });
  for (const stroke of strokes) {
    context.beginPath();
    // A line of no length would leave no dot.
    context.moveTo(stroke[0][0] * scale + x - 0.01, stroke[0][1] * scale + y);
    for (const point of stroke) context.lineTo(point[0] * scale + x, point[1] * scale + y);
    context.stroke();
  }
}

/**
 * The image of some strokes, a byte a pixel; `null` where there are none. Strokes are scaled, not pixels, so that lines
 * are as wide as those of the data. 8 x 8 digits fill their image, larger ones the middle of it, as MNIST's do.
 */
export function image(strokes, { width, height, brightest }) {
  if (strokes.length === 0) return null;
  const [columns, rows] = [width * DOTS, height * DOTS];
  const side = Math.min(columns, rows);
  const context = new OffscreenCanvas(columns, rows).getContext('2d', { willReadFrequently: true });
  const isSmall = Math.min(width, height) < 16;
  const dots = isSmall ? inked(context, strokes) : dotted(context, strokes, side * 20 / 28, side * 2.6 / 28);
  const pixels = new Uint8Array(width * height);
  dots.forEach((isInk, dot) => {
    const [row, column] = [Math.floor(dot / columns), dot % columns];
    pixels[Math.floor(row / DOTS) * width + Math.floor(column / DOTS)] += isInk;
  });
  return pixels.map((count) => Math.round(count / (DOTS * DOTS) * brightest));
}

/** Strokes over the whole image, with the pen that makes as much ink as the data has. */
function inked(context, strokes) {
  const { width, height } = context.canvas;
  const side = Math.min(width, height);
  const draw = (pen) => dotted(context, strokes, side, side * pen);
  let [thin, thick] = PENS;
  for (let i = 0; i < 6; i++) {
    const pen = (thin + thick) / 2;
    const ink = draw(pen).reduce((sum, isInk) => sum + isInk, 0) / (width * height);
    [thin, thick] = ink < INK ? [pen, thick] : [thin, pen];
  }
  return draw((thin + thick) / 2);
}

/** Strokes in a box in the middle: 1 for a dot of ink, 0 for another. */
function dotted(context, strokes, box, pen) {
  const { width, height } = context.canvas;
  const points = strokes.flat();
  const bounds = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const extent = Math.max(...bounds.map(([low, high]) => high - low), 0.05);
  const scale = (box - pen) / extent;
  const shift = bounds.map(([low, high], axis) => [width, height][axis] / 2 - scale * (low + high) / 2);
  context.clearRect(0, 0, width, height);
  trace(context, strokes, scale, shift, pen);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height }, (_, dot) => data[4 * dot + 3] > 127);
}

/** Shows an image. */
export function preview(canvas, pixels, { width, height, brightest }) {
  Object.assign(canvas, { width, height });
  if (!pixels) return;
  const grey = new ImageData(width, height);
  pixels.forEach((ink, i) => grey.data.set([1, 1, 1].map(() => 255 * ink / brightest).concat(255), 4 * i));
  canvas.getContext('2d').putImageData(grey, 0, 0);
}
