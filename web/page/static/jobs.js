// Jobs for the thread of the sweeps and of the paths, one at a time for each section.

const jobs = new Map();
let nextJob = 0;
let worker = null;

/** The thread, which nobody waits for who asks nothing of it. */
function thread() {
  if (worker) return worker;
  worker = new Worker('lab/lab.js', { type: 'module' });
  worker.onmessage = ({ data }) => {
    const told = jobs.get(data.job);
    if (data.type === 'ended' || data.type === 'failed') jobs.delete(data.job);
    told?.(data);
  };
  worker.onerror = (event) => {
    const message = event.message ?? 'it could not be loaded';
    for (const told of jobs.values()) told({ type: 'failed', kind: 'problem', message });
    jobs.clear();
    worker = null;
  };
  return worker;
}

/** Begins a job; `told` is given every message of it, the last of which is `ended` or `failed`. */
export function begin(type, request, told) {
  const job = nextJob++;
  jobs.set(job, told);
  thread().postMessage({ type, job, ...request });
  return job;
}

export function stop(job) {
  thread().postMessage({ type: 'stop', job });
}

/** The package's name and version. */
export async function engine() {
  const response = await fetch('package/package.json');
  const { name, version } = await response.json();
  return `${name} ${version}`;
}
