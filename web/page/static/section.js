// A section whose form begins a job of the other thread, and stops it.

import * as jobs from './jobs.js';

/** Images of a job at most, and values of their pixels at most. */
const MOST_IMAGES = 10_000;
const MOST_VALUES = 2 ** 24;

export class Section {
  /**
   * `page` is what the page knows: `run()`, `shared()`, `choice(rule)`, `dataset()`, `isValid()`, and `images(most)`, a promise.
   * `prepare` gives a job's `type`, its `request`, and who is `told` of it, or throws what is wrong with the settings.
   */
  constructor(root, page, prepare) {
    Object.assign(this, { page, prepare, job: null });
    this.form = root.querySelector('form');
    this.fields = this.form.querySelector('fieldset');
    this.button = this.form.querySelector('button');
    this.status = root.querySelector('[role=status]');
    this.progress = root.querySelector('.progress');
    this.start = this.button.textContent;
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.isBusy) this.#stop(); else this.#begin();
    });
  }

  get isBusy() { return this.fields.disabled; }

  /** What goes on; screen readers say it. */
  say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
    this.progress.textContent = '';
  }

  /** How far it is, which they are spared. */
  show(text) {
    this.say('Training.');
    this.progress.textContent = text;
  }

  /** Whether there is an engine to ask for images. */
  setReady(isReady) {
    this.isReady = isReady;
    this.#refresh();
  }

  async #begin() {
    if (!this.page.isValid()) return;
    try {
      const { type, request, told } = this.prepare(this.form.elements);
      this.isStopped = false;
      this.#setBusy(true);
      this.say('Starting…');
      const images = await this.page.images(this.#most());
      const { seed, batch } = this.page.shared();
      if (this.isStopped) this.#end('Stopped.');
      else this.job = jobs.begin(type, { ...request, seed, batch, images }, (message) => this.#told(message, told));
    } catch (error) {
      this.#end(`That did not work: ${error.message}`);
    }
  }

  #most() {
    const { width, height } = this.page.dataset();
    return Math.max(1, Math.min(MOST_IMAGES, Math.floor(MOST_VALUES / (width * height))));
  }

  #stop() {
    this.isStopped = true;
    if (this.job !== null) jobs.stop(this.job);
  }

  #told(message, told) {
    if (message.type === 'failed') {
      this.#end('Stopped.');
      this.page.failed(message);
    } else {
      told(message);
      if (message.type === 'ended') this.#end();
    }
  }

  #end(text) {
    this.job = null;
    if (text) this.say(text);
    this.#setBusy(false);
  }

  #setBusy(isBusy) {
    // A field that had the focus would lose it to nothing.
    if (isBusy && this.fields.contains(document.activeElement)) this.button.focus();
    this.fields.disabled = isBusy;
    this.#refresh();
  }

  #refresh() {
    this.button.textContent = this.isBusy ? 'Stop' : this.start;
    this.button.disabled = !this.isBusy && !this.isReady;
  }
}
