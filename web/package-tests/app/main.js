import { train } from './train.js';

const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
const inWorker = new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => data.error ? reject(data.error) : resolve(data.w);
  worker.onerror = (event) => reject(`the worker failed: ${event.message ?? 'it could not be loaded'}`);
});
Promise.all([train(), inWorker]).then(
  ([page, worker]) => { window.outcome = { page, worker }; },
  (error) => { window.outcome = { error: String(error) }; },
);
