// Small multiples: one small chart for each setting, all with the same axes.

import { lossText } from './runs.js';

/** A chart's own units. */
const [WIDTH, HEIGHT] = [160, 90];
/** Points of a curve at most, each the mean of the losses of some steps. */
const POINTS = 50;
/** The highest loss that is drawn: more than what knowing nothing costs, which is ln 10. */
const HIGHEST = 4;
const SVG = 'http://www.w3.org/2000/svg';

/** Losses of a run so far. */
class Curve {
  constructor(steps) {
    Object.assign(this, { bucket: Math.max(1, Math.ceil(steps / POINTS)), points: [], part: [], step: 0, hasDiverged: false });
  }

  add(losses) {
    for (const loss of losses) {
      this.step += 1;
      this.hasDiverged ||= !Number.isFinite(loss);
      this.part.push(loss);
      if (this.hasDiverged || this.part.length < this.bucket) continue;
      this.points.push([this.step, mean(this.part)]);
      this.part = [];
    }
  }

  /** The last mean; before there is one, that of what there is. */
  get loss() {
    return this.points.at(-1)?.[1] ?? (this.part.length > 0 ? mean(this.part) : null);
  }
}

const mean = (values) => values.reduce((a, b) => a + b) / values.length;

export class Multiples {
  /**
   * Charts of runs: `charts` has a title for each, and which of the `count` runs are drawn in it, by name and colour. Each
   * run takes so many steps.
   */
  constructor(root, charts, count, steps) {
    this.steps = steps;
    this.curves = Array.from({ length: count }, () => new Curve(steps));
    this.charts = charts.map((chart) => this.#chart(chart));
    root.replaceChildren(...this.charts.map(({ figure }) => figure));
    this.draw();
  }

  #chart({ title, lines }) {
    const figure = document.createElement('figure');
    figure.role = 'listitem';
    const heading = document.createElement('figcaption');
    heading.textContent = title;
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('role', 'img');
    const drawn = lines.map(({ run, name, colour }) => {
      const path = document.createElementNS(SVG, 'path');
      path.style.stroke = `var(--run-${colour})`;
      const value = document.createElement('data');
      value.style.setProperty('--colour', `var(--run-${colour})`);
      return { run, name, path, value };
    });
    const values = document.createElement('div');
    values.className = 'figures';
    values.append(...drawn.map(({ value }) => value));
    svg.append(...drawn.map(({ path }) => path).reverse());
    figure.append(heading, svg, values);
    return { figure, svg, title, lines: drawn };
  }

  /** Takes in what is new of some runs. */
  add(parts) {
    for (const { run, losses } of parts) this.curves[run].add(losses);
    this.draw();
  }

  draw() {
    const lowest = Math.min(1, ...this.curves.flatMap(({ points }) => points.map(([, loss]) => loss)));
    // A whole power of ten, so that the axis changes seldom.
    const bottom = Math.max(-6, Math.floor(Math.log10(Math.max(lowest, 1e-6))));
    const top = Math.log10(HIGHEST);
    const place = ([step, loss]) => {
      const height = Math.min(1, (Math.log10(Math.max(loss, 1e-6)) - bottom) / (top - bottom));
      return `${(WIDTH * step / this.steps).toFixed(1)} ${(HEIGHT * (1 - height)).toFixed(1)}`;
    };
    this.range = [10 ** bottom, HIGHEST];
    for (const { svg, title, lines } of this.charts) {
      const words = lines.map(({ run, name, path, value }) => {
        const curve = this.curves[run];
        path.setAttribute('d', curve.points.map((point, i) => `${i === 0 ? 'M' : 'L'}${place(point)}`).join(''));
        value.value = curve.hasDiverged ? '' : curve.loss ?? '';
        value.textContent = lossText(curve);
        return `${name}: ${value.textContent === '–' ? 'no loss yet' : value.textContent}`;
      });
      svg.ariaLabel = `${title}. ${words.join(', ')}, after ${Math.max(...lines.map(({ run }) => this.curves[run].step))} steps`;
    }
  }
}
