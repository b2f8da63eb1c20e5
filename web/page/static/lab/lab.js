// The thread of the sweeps and of the paths: the npm package on a device that this page opens itself.

import { Kernels } from './network.js';
import { paths } from './paths.js';
import { sweep } from './sweep.js';

const kinds = { paths, sweep };
/** The jobs under way, and what stops each. */
const jobs = new Map();
/** The device's kernels and whether it was lost, as a promise; nothing until there is something to do. */
let opening = null;

self.onmessage = ({ data }) => {
  if (data.type === 'stop') jobs.get(data.job)?.abort();
  else work(data);
};

function problem(kind, message = kind) {
  return Object.assign(new Error(message), { kind });
}

/** What the device refused, which is told once. */
function refused(opened) {
  const { wrong } = opened;
  opened.wrong = null;
  return problem('problem', wrong);
}

async function open() {
  if (!self.isSecureContext) throw problem('insecure');
  if (!navigator.gpu) throw problem('no-webgpu');
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw problem('no-adapter');
  const device = await adapter.requestDevice();
  const opened = { kernels: new Kernels(device), lost: null, wrong: null };
  device.addEventListener('uncapturederror', ({ error }) => { opened.wrong ??= error.message; });
  opened.loss = device.lost.then(({ message, reason }) => {
    opened.lost = message || reason;
    opening = null;
  });
  return opened;
}

/** Does a job to its end, and tells how that was. */
async function work({ type, job, ...request }) {
  const stop = new AbortController();
  jobs.set(job, stop);
  let opened = null;
  try {
    opening ??= open();
    opened = await opening;
    const tell = (message) => {
      if (opened.wrong) throw refused(opened);
      postMessage({ job, ...message });
    };
    await kinds[type](opened.kernels, request, tell, stop.signal);
    tell({ type: 'ended', isStopped: stop.signal.aborted });
  } catch (error) {
    if (!opened) opening = null;
    // What fails because the device was lost does so before the news comes.
    else await Promise.race([opened.loss, new Promise((resolve) => { setTimeout(resolve, 500); })]);
    const [kind, message] = opened?.lost ? ['lost', opened.lost] : [error.kind, String(error.message ?? error)];
    postMessage({ job, type: 'failed', kind, message });
  } finally {
    jobs.delete(job);
  }
}
