// The section of sweeps: learning rates, or k and alpha, as small multiples. The paper's figures 8 and 9.

import { Multiples } from './multiples.js';
import { title } from './runs.js';
import { Section } from './section.js';
import { USUAL, alone, within } from './settings.js';

/** Learning rates, over that of the selected run. */
const FACTORS = [-1, -0.5, 0, 0.5, 1, 1.5].map((power) => 10 ** power);
const KS = [5, 10, 20];
const ALPHAS = [0.2, 0.5, 0.8];
/** Colours of the page's runs: Lookahead, and the rule alone. */
const [SLOW, FAST] = [0, 1];

/** A rule alone and in Lookahead, by learning rate. */
function rates({ rule, learning_rate: centre, lookahead, adaptive }, choice) {
  const all = FACTORS.map((factor) => Number((centre * factor).toPrecision(2)));
  const around = lookahead ?? USUAL;
  return {
    runs: all.flatMap((rate) => [within(choice, rate, around, adaptive), alone(choice, rate)]),
    charts: all.map((rate, i) => ({
      title: `Learning rate ${rate}`,
      lines: [
        { run: 2 * i, name: title({ rule, lookahead: around }), colour: SLOW },
        { run: 2 * i + 1, name: rule, colour: FAST },
      ],
    })),
  };
}

/** Lookahead by k and alpha, beside the rule alone. */
function cycles({ rule, learning_rate: rate, lookahead }, choice) {
  const [, , policy] = lookahead ?? USUAL;
  const all = KS.flatMap((k) => ALPHAS.map((alpha) => [k, alpha, policy]));
  return {
    runs: [alone(choice, rate), ...all.map((each) => within(choice, rate, each))],
    charts: all.map(([k, alpha], i) => ({
      title: `k ${k}, α ${alpha}`,
      lines: [
        { run: i + 1, name: title({ rule, lookahead: all[i] }), colour: SLOW },
        { run: 0, name: rule, colour: FAST },
      ],
    })),
  };
}

const sweeps = { rates, cycles };

/** Shows the section, which gives its `Section`. */
export function create(root, page) {
  const list = root.querySelector('#multiples');
  const key = root.querySelector('.key');
  const section = new Section(root, page, (fields) => {
    const settings = page.run();
    const { runs, charts } = sweeps[fields.over.value](settings, page.choice(settings.rule));
    const steps = fields.steps.valueAsNumber;
    const multiples = new Multiples(list, charts, runs.length, steps);
    const [slow, fast] = charts[0].lines;
    key.hidden = false;
    [slow, fast].forEach(({ name }, i) => { key.children[i].querySelector('b').textContent = name; });
    let step = 0;
    const told = ({ type, parts, isStopped }) => {
      if (type === 'losses') {
        multiples.add(parts);
        step += Math.max(...parts.map(({ losses }) => losses.length));
        section.show(`Step ${step} of ${steps}`);
      } else if (isStopped) {
        section.say(`Stopped at step ${step} of ${steps}.`);
      } else {
        section.say(`Done: ${runs.length} runs of ${steps} steps.`);
      }
      const [low, high] = multiples.range;
      key.children[2].textContent = `loss ${low} to ${high}, logarithmic; steps 0 to ${steps}`;
    };
    return { type: 'sweep', request: { runs, steps }, told };
  });
  return section;
}
