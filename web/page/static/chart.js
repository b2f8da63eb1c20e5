// The chart: training loss, test accuracy and, where there is one, the adaptive alpha, by step; drawn by uPlot.

import uPlot from './vendor/uPlot.esm.js';
import { title } from './runs.js';

/** Points of a loss curve at most, each the mean of the losses of some batches. */
const POINTS = 240;
const HEIGHT = 270;
const FONT = '12px system-ui, sans-serif';

const panels = [
  { title: 'Training loss', lines: [{ key: 'loss' }], distribution: 3, range: null },
  {
    title: 'Test accuracy',
    lines: [{ key: 'fast', dash: [5, 4], width: 1.5 }, { key: 'slow' }],
    range: (u, low) => [Math.min(0.9, Math.floor((low ?? 0.9) * 10) / 10), 1],
    tick: (value) => `${+(100 * value).toFixed(1)} %`,
  },
  { title: 'Adaptive alpha', lines: [{ key: 'alpha' }], range: () => [0, 1], isOptional: true },
];

export class Chart {
  constructor(root) {
    this.root = root;
    this.runs = [];
    this.curves = new Map();
    this.plots = [];
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(root);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.build());
  }

  /** Shows these runs; curves of others are forgotten. */
  setRuns(runs) {
    this.runs = runs;
    const known = new Set(runs.map((run) => run.id));
    for (const id of this.curves.keys()) if (!known.has(id)) this.curves.delete(id);
    this.build();
  }

  /** Forgets a run's curves, or all. */
  clear(id) {
    if (id === undefined) this.curves.clear(); else this.curves.delete(id);
    this.isStale = true;
  }

  /** Takes in what is new of a run. */
  add(news) {
    let curve = this.curves.get(news.id);
    if (!curve) {
      const empty = () => [[], []];
      curve = { loss: empty(), slow: empty(), fast: empty(), alpha: empty(), sum: 0, count: 0 };
      this.curves.set(news.id, curve);
    }
    const push = (key, x, y) => { curve[key][0].push(x); curve[key][1].push(y); };
    const bucket = Math.max(1, Math.ceil(news.total / POINTS));
    news.losses.forEach((loss, i) => {
      if (loss === null) return;
      curve.sum += loss;
      curve.count += 1;
      const step = news.first + i + 1;
      if (step % bucket === 0) {
        // A logarithm has no zero.
        push('loss', step, Math.max(curve.sum / curve.count, 1e-9));
        curve.sum = curve.count = 0;
      }
    });
    for (const { step, fast, slow } of news.samples) {
      push('slow', step, slow ?? fast);
      if (slow !== null) push('fast', step, fast);
    }
    for (const { step, values } of news.alphas) push('alpha', step, values.reduce((a, b) => a + b) / values.length);
    this.isStale = true;
  }

  /** Draws what came in since the last time. */
  draw() {
    if (!this.isStale) return;
    this.isStale = false;
    for (const { plot, panel } of this.plots) plot.setData(this.data(panel));
  }

  data({ lines }) {
    const tables = this.runs.flatMap(({ id }) => lines.map(({ key }) => this.curves.get(id)?.[key] ?? [[], []]));
    // The first table keeps the axis whole while there is nothing.
    return uPlot.join([[[0], [null]], ...tables]);
  }

  build() {
    for (const { plot } of this.plots) plot.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--soft'), font: FONT,
      grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 },
    };
    const shown = panels.filter((panel) => !panel.isOptional || this.runs.some((run) => run.settings.adaptive));
    this.root.replaceChildren();
    this.plots = shown.map((panel, index) => {
      const heading = document.createElement('h3');
      heading.textContent = panel.title;
      const place = document.createElement('div');
      this.root.append(heading, place);
      const isLast = index === shown.length - 1;
      const series = this.runs.flatMap((run) => panel.lines.map(({ dash, width }) => ({
        stroke: colour(`--run-${run.colour}`), width: width ?? 2.25, dash, spanGaps: true, points: { show: false },
      })));
      const plot = new uPlot({
        width: this.width(), height: HEIGHT, series: [{}, { show: false }, ...series], legend: { show: false },
        cursor: { drag: { x: false, y: false }, sync: { key: 'lookahead' } },
        scales: {
          x: { time: false, range: () => [0, Math.max(1, ...this.runs.map((run) => run.total))] },
          y: { distr: panel.distribution ?? 1, ...(panel.range && { range: panel.range }) },
        },
        axes: [
          { ...axis, label: isLast ? 'step' : undefined, labelFont: FONT, labelSize: 18 },
          { ...axis, size: 56, ...(panel.tick && { values: (u, ticks) => ticks.map(panel.tick) }) },
        ],
      }, this.data(panel), place);
      return { plot, panel };
    });
  }

  width() {
    return Math.max(this.root.clientWidth, 200);
  }

  fit() {
    for (const { plot } of this.plots) {
      if (plot.width !== this.width()) plot.setSize({ width: this.width(), height: HEIGHT });
    }
  }

  /** The panels, their titles and the names of the runs as one picture. */
  png() {
    const style = getComputedStyle(document.documentElement);
    const [first] = this.plots;
    const scale = first.plot.ctx.canvas.width / first.plot.width;
    const [line, margin] = [26, 16];
    const legend = this.runs.length * line + margin;
    const canvas = document.createElement('canvas');
    canvas.width = (first.plot.width + 2 * margin) * scale;
    canvas.height = (legend + 2 * margin + this.plots.length * (HEIGHT + line)) * scale;
    const context = canvas.getContext('2d');
    context.scale(scale, scale);
    context.fillStyle = style.getPropertyValue('--card');
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.textBaseline = 'middle';
    const text = (words, x, y, font) => {
      context.font = font;
      context.fillStyle = style.getPropertyValue('--ink');
      context.fillText(words, x, y);
    };
    let y = margin;
    for (const run of this.runs) {
      context.fillStyle = style.getPropertyValue(`--run-${run.colour}`);
      context.fillRect(margin, y + line / 2 - 2, 24, 4);
      text(title(run.settings), margin + 34, y + line / 2, '14px system-ui, sans-serif');
      y += line;
    }
    y += margin;
    for (const { plot, panel } of this.plots) {
      text(panel.title, margin, y + line / 2, '600 14px system-ui, sans-serif');
      context.drawImage(plot.ctx.canvas, margin, y + line, plot.width, HEIGHT);
      y += line + HEIGHT;
    }
    return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  }
}
