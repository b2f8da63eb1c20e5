// The section of paths: fast and slow weights on a plane, over the loss there. The paper's figure 1.

import { LossMap } from './map.js';
import { lossText, title } from './runs.js';
import { Section } from './section.js';
import { USUAL, within } from './settings.js';

/** Cycles of more steps take long to keep. */
const MOST_STEPS = 500;

/** A drawing under way, as it is told. */
class Drawing {
  constructor({ name, k, from, cycles }, map, view) {
    const begun = Math.ceil(from / k) * k;
    Object.assign(this, { name, cycles, begun, steps: begun + cycles * k, map, view });
    map.clear();
    view.describe(`${name}.`);
  }

  warmed({ step }) {
    this.view.show(`Step ${step} of ${this.steps}`);
  }

  walked({ fast, slow, step }) {
    this.map.walk(fast, slow);
    this.view.show(`Step ${step} of ${this.steps}`);
  }

  framed({ frame, grid, images, losses: { start, fastEnd, slowEnd } }) {
    this.grid = grid;
    this.map.begin(frame, grid);
    const loss = (value) => lossText({ loss: value, hasDiverged: !Number.isFinite(value) });
    this.view.describe(`${this.name}, steps ${this.begun + 1} to ${this.steps}. Loss at their beginning ${loss(start)}, at the `
      + `last fast weights ${loss(fastEnd)}, at the slow weights after them ${loss(slowEnd)}: the mean over ${images} images. `
      + `The map is ${frame.side.toPrecision(2)} wide.`);
  }

  row({ row, losses }) {
    this.map.add(losses);
    this.view.show(`Map: ${row + 1} of ${this.grid} rows`);
    this.view.range(this.map.range);
  }

  flat() {
    this.isFlat = true;
  }

  ended({ isStopped }) {
    const flat = 'These weights are on one line, which makes no plane: choose a larger k, or more cycles.';
    this.view.say(isStopped ? 'Stopped.' : this.isFlat ? flat : 'Done.');
  }
}

/** Shows the section. */
export function create(root, page) {
  const canvas = root.querySelector('canvas');
  const map = new LossMap(canvas);
  const [low, high] = root.querySelectorAll('.key data');
  const view = {
    describe(text) {
      root.querySelector('figcaption').textContent = canvas.ariaLabel = text;
    },
    range(range) {
      [low.textContent, high.textContent] = range?.map((loss) => loss.toPrecision(2)) ?? ['', ''];
    },
    say: (text) => section.say(text),
    show: (text) => section.show(text),
  };
  const section = new Section(root, page, (fields) => {
    const settings = page.run();
    const lookahead = settings.lookahead ?? USUAL;
    const [k, alpha] = lookahead;
    if (k > MOST_STEPS) throw new Error(`k is ${k}, and paths of at most ${MOST_STEPS} steps are drawn; choose a smaller k`);
    const [from, cycles] = [fields.from.valueAsNumber, fields.cycles.valueAsNumber];
    const name = `${title({ ...settings, lookahead })}, k ${k}, α ${alpha}`;
    const drawing = new Drawing({ name, k, from, cycles }, map, view);
    return {
      type: 'paths',
      request: { options: within(page.choice(settings.rule), settings.learning_rate, lookahead), from, cycles },
      told: (message) => drawing[message.type](message),
    };
  });
  return section;
}
