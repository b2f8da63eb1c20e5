// The list of runs: one card each, the selected one checked.

const list = document.getElementById('runs');
export const MOST = 4;

const percent = (share) => (share == null ? '–' : `${(100 * share).toFixed(1)} %`);

/** A run that was not begun, with a colour that no other one has. */
export function create(id, settings, others) {
  const taken = new Set(others.map((run) => run.colour));
  return { id, settings, colour: [0, 1, 2, 3].find((colour) => !taken.has(colour)), ...fresh() };
}

/** What a run knows of its training, before there was any. */
export function fresh() {
  return { step: 0, total: 0, isDone: false, loss: null, hasDiverged: false, fast: null, slow: null, epoch: null };
}

export function title({ rule, lookahead }) {
  return lookahead ? `lookahead(${rule})` : rule;
}

function subtitle({ learning_rate, lookahead, adaptive }) {
  const parts = [`lr ${learning_rate}`];
  if (lookahead) {
    const [k, alpha, policy] = lookahead;
    parts.push(`k ${k}`, adaptive ? `α from ${adaptive.alpha_low}` : `α ${alpha}`);
    if (policy !== 'maintain') parts.push(policy);
  }
  return parts.join(' · ');
}

/** Takes in what is new of a run. */
export function update(run, news) {
  run.step = news.first + news.losses.length;
  run.total = news.total;
  run.isDone = news.is_done;
  const last = news.losses.at(-1);
  if (last !== undefined) {
    // A loss of null is no number, or from before the checkpoint that was loaded.
    const wasNumber = run.hasDiverged || run.loss !== null || news.losses.some((loss) => loss !== null);
    run.hasDiverged = last === null && wasNumber;
    run.loss = last;
  }
  const sample = news.samples.at(-1);
  if (sample) [run.fast, run.slow] = [sample.fast, sample.slow];
  run.epoch = news.epochs.at(-1) ?? run.epoch;
}

export function lossText({ loss, hasDiverged }) {
  return hasDiverged ? 'diverged' : loss?.toPrecision(3) ?? '–';
}

const more = document.createElement('button');
Object.assign(more, { type: 'button', id: 'add', textContent: '+ Compare another run' });

/**
 * Shows the cards: runs were added, removed or set otherwise. What did not change stays, since it may be what the visitor
 * is pressing: leaving a field changes the settings.
 */
export function render(runs, selected, { select, remove, add }) {
  for (const card of list.querySelectorAll('.run')) {
    if (!runs.some(({ id }) => String(id) === card.dataset.run)) card.remove();
  }
  if (!more.isConnected) list.append(more);
  more.onclick = add;
  more.hidden = runs.length >= MOST;
  const isRemovable = runs.length > 1;
  for (const run of runs) {
    const isSelected = run.id === selected;
    const look = JSON.stringify([run.settings, isRemovable]);
    const shown = list.querySelector(`[data-run="${run.id}"]`);
    if (shown?.dataset.look === look) {
      shown.querySelector('input').checked = isSelected;
      continue;
    }
    const made = cardOf(run, { isSelected, isRemovable, select, remove });
    made.dataset.look = look;
    if (shown) shown.replaceWith(made); else more.before(made);
  }
  runs.forEach(refresh);
}

function cardOf(run, { isSelected, isRemovable, select, remove }) {
  const card = document.createElement('div');
  card.className = 'run';
  card.dataset.run = run.id;
  card.style.setProperty('--colour', `var(--run-${run.colour})`);
  const label = document.createElement('label');
  const radio = document.createElement('input');
  Object.assign(radio, { type: 'radio', name: 'run', value: run.id, checked: isSelected });
  radio.addEventListener('change', () => select(run.id));
  const name = document.createElement('strong');
  name.textContent = title(run.settings);
  const how = document.createElement('small');
  how.textContent = subtitle(run.settings);
  const figures = document.createElement('div');
  figures.className = 'figures';
  const captions = run.settings.lookahead
    ? [['loss', 'loss'], ['slow', 'slow weights'], ['fast', 'fast weights']]
    : [['loss', 'loss'], ['fast', 'test accuracy']];
  for (const [key, caption] of captions) {
    const figure = document.createElement('div');
    const text = document.createElement('span');
    text.textContent = caption;
    const value = document.createElement('data');
    value.className = key;
    figure.append(text, value);
    figures.append(figure);
  }
  const progress = document.createElement('small');
  progress.className = 'progress';
  label.append(radio, name, how, figures, progress);
  card.append(label);
  if (isRemovable) {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', textContent: '×', ariaLabel: `Remove ${title(run.settings)}` });
    button.addEventListener('click', () => remove(run.id));
    card.append(button);
  }
  return card;
}

/** Shows a run's figures. The exact ones of its last epoch stand in the card's attributes. */
export function refresh(run) {
  const card = list.querySelector(`[data-run="${run.id}"]`);
  const show = (key, value, text) => {
    const element = card.querySelector(`.${key}`);
    if (!element) return;
    element.value = value ?? '';
    element.textContent = text;
  };
  show('loss', run.loss, lossText(run));
  show('slow', run.slow, percent(run.slow));
  show('fast', run.fast, percent(run.fast));
  const text = run.total ? `step ${run.step} of ${run.total}` : 'not begun';
  card.querySelector('.progress').textContent = text;
  card.dataset.step = run.step;
  card.dataset.epoch = JSON.stringify(run.epoch);
}
