// How long a page's main thread is busy without a pause.

import assert from 'node:assert/strict';

/** The longest task while `run` runs, in milliseconds: by the clock, and of the thread's own time on a processor.
 *
 * SwiftShader keeps every processor of a small machine busy, so that by the clock any task may be long, however little
 * it does. */
export async function longestTask(page, run) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline'] });
  await run();
  const { traceEvents: events } = JSON.parse(await browser.stopTracing());
  const frames = events.find(({ name }) => name === 'TracingStartedInBrowser').args.data.frames;
  const { processId } = frames.find(({ url }) => url === page.url());
  const ofMain = ({ name, pid, args }) => name === 'thread_name' && pid === processId && args.name === 'CrRendererMain';
  const { tid: main } = events.find(ofMain);
  const tasks = events.filter(({ name, pid, tid }) => name === 'RunTask' && pid === processId && tid === main);
  assert.ok(tasks.length > 0, 'the trace has tasks');
  const longest = (time) => Math.max(...tasks.map((task) => task[time] ?? 0)) / 1000;
  return { clock: longest('dur'), own: longest('tdur') };
}
