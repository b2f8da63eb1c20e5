// The form: the settings of one run, and those that all runs share.

const form = document.getElementById('form');
const field = form.elements;
const adaptive = { curvature: 'corrected', scope: 'model', gradient: 'synchronised' };
let rules = [];

/** Offers the choices that the engine knows. `changed` is called whenever the visitor changes something. */
export function begin(choices, changed) {
  const options = (select, list) => select.replaceChildren(...list.map(({ name, help }) => {
    const option = new Option(name, name);
    option.title = help;
    return option;
  }));
  options(field.rule, choices.rules);
  options(field.policy, choices.policies);
  ({ rules } = choices);
  field.rule.addEventListener('change', () => { field.learning_rate.value = choice(field.rule.value).learning_rate; });
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('change', () => { refresh(); changed(); });
}

/** What the engine says of a rule. */
export function choice(name) {
  return rules.find((rule) => rule.name === name);
}

/** The settings of a new run. */
export function usual(rule, hasLookahead) {
  return {
    rule,
    learning_rate: choice(rule).learning_rate,
    lookahead: hasLookahead ? [5, 0.5, 'maintain'] : null,
    adaptive: null,
  };
}

/** Whether everything can be used as it is; otherwise the browser points at what cannot. */
export function isValid() {
  return form.reportValidity();
}

/** Whether the settings of the run that is shown can be used; nothing is pointed at. */
export function isRunValid() {
  return [...document.getElementById('run-fields').elements].every((each) => !each.willValidate || each.validity.valid);
}

/** The settings of the run that is shown. */
export function run() {
  const number = (name) => field[name].valueAsNumber;
  const hasLookahead = field.lookahead.checked;
  return made({
    rule: field.rule.value,
    learning_rate: number('learning_rate'),
    lookahead: hasLookahead ? [number('k'), number('alpha'), field.policy.value] : null,
    alpha_low: hasLookahead && field.adaptive.checked ? number('alpha_low') : null,
  });
}

/** Settings of a run; with a least alpha, it is adaptive. */
export function made({ alpha_low: low, ...others }) {
  return { ...others, adaptive: low === null ? null : { ...adaptive, alpha_low: low } };
}

/** Whether a field of numbers takes this text. */
export function takes(name, text) {
  const copy = field[name].cloneNode();
  copy.disabled = false;
  copy.value = text;
  return copy.validity.valid;
}

/** Whether a list has this choice. */
export function offers(name, value) {
  return [...field[name].options].some((option) => option.value === value);
}

/** Shows settings that all runs share. */
export function share(shared) {
  for (const [name, value] of Object.entries(shared)) field[name].value = value;
}

/** The settings that all runs share. */
export function shared() {
  const number = (name) => field[name].valueAsNumber;
  return {
    epochs: number('epochs'),
    seed: number('seed'),
    batch: number('batch'),
    hidden: [number('hidden')],
    tests_each_epoch: 2,
  };
}

/** Shows a run's settings. What has begun cannot be changed, but for the number of epochs. */
export function show(settings, hasBegun, hasAnyBegun) {
  const [k, alpha, policy] = settings.lookahead ?? [5, 0.5, 'maintain'];
  field.rule.value = settings.rule;
  field.learning_rate.value = settings.learning_rate;
  field.lookahead.checked = settings.lookahead !== null;
  Object.assign(field.k, { value: k });
  Object.assign(field.alpha, { value: alpha });
  field.policy.value = policy;
  field.adaptive.checked = settings.adaptive !== null;
  field.alpha_low.value = settings.adaptive?.alpha_low ?? 0.2;
  document.getElementById('run-fields').disabled = hasBegun;
  for (const name of ['seed', 'batch', 'hidden']) field[name].disabled = hasAnyBegun;
  document.getElementById('locked').hidden = !hasAnyBegun;
  refresh();
}

/** Hides what does not apply; hidden fields are disabled, so that they are not checked either. */
function refresh() {
  const fields = document.getElementById('lookahead-fields');
  fields.hidden = !field.lookahead.checked;
  const isAdaptive = field.adaptive.checked;
  document.getElementById('alpha-low').hidden = !isAdaptive;
  for (const name of ['k', 'alpha']) field[name].disabled = fields.hidden;
  field.alpha_low.disabled = fields.hidden || !isAdaptive;
}
