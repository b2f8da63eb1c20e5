// A drawing of strokes, and the small image that a network sees of it.

/** Small dots that an image's pixel is made of, in a row: four by four, counted, as the UCI digits were made. */
const DOTS = 4;
/** What one press of an arrow key moves the pen by. The surface is 1 wide and 1 high. */
const STRIDE = 0.05;
/** How wide the pen is on the surface. */
const PEN = 0.085;

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
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pen = { at: place(event), isDown: true, isShown: false };
      this.strokes.push([place(event)]);
      this.update();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.strokes.at(-1).push(...(event.getCoalescedEvents?.() ?? [event]).map(place), place(event));
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
    // A line to where it begins makes a single point a dot.
    for (const point of [stroke[0], ...stroke]) context.lineTo(point[0] * scale + x, point[1] * scale + y);
    context.stroke();
  }
}

/**
 * The image of some strokes, a byte a pixel; `null` where there are none. Strokes are scaled, not pixels, so that lines
 * are as wide as those of the data: 8 x 8 digits fill their image, larger ones the middle of it, as MNIST's do.
 */
export function image(strokes, { width, height, brightest }) {
  if (strokes.length === 0) return null;
  const [columns, rows] = [width * DOTS, height * DOTS];
  const side = Math.min(columns, rows);
  const isSmall = Math.min(width, height) < 16;
  const [box, pen] = isSmall ? [side, side * 0.14] : [side * 20 / 28, side * 2.6 / 28];
  const points = strokes.flat();
  const bounds = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const extent = Math.max(...bounds.map(([low, high]) => high - low), 0.05);
  const scale = (box - pen) / extent;
  const shift = bounds.map(([low, high], axis) => [columns, rows][axis] / 2 - scale * (low + high) / 2);
  const context = new OffscreenCanvas(columns, rows).getContext('2d', { willReadFrequently: true });
  trace(context, strokes, scale, shift, pen);
  const dots = context.getImageData(0, 0, columns, rows).data;
  const pixels = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let count = 0;
      for (let i = 0; i < DOTS * DOTS; i++) {
        const dot = (row * DOTS + Math.floor(i / DOTS)) * columns + column * DOTS + i % DOTS;
        count += dots[4 * dot + 3] > 127;
      }
      pixels[row * width + column] = Math.round(count / (DOTS * DOTS) * brightest);
    }
  }
  return pixels;
}

/** Shows an image. */
export function preview(canvas, pixels, { width, height, brightest }) {
  Object.assign(canvas, { width, height });
  if (!pixels) return;
  const grey = new ImageData(width, height);
  pixels.forEach((ink, i) => grey.data.set([1, 1, 1].map(() => 255 * ink / brightest).concat(255), 4 * i));
  canvas.getContext('2d').putImageData(grey, 0, 0);
}
