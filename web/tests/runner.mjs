// Runs tests and says how each ended.

import { existsSync } from 'node:fs';

/** Ends the process unless this was built. */
export function needs(file, command) {
  if (existsSync(file)) return;
  console.error(`there is no ${file}: run \`${command}\` first`);
  process.exit(1);
}

/** Prints what a test found that is worth saying. */
export function remark(text) {
  if (text) console.log(`      ${text}`);
}

/**
 * Runs the tests whose names have the program's first argument, and ends the process. No test at all is a failure.
 *
 * Each of `lanes` is given to one test at a time; those that are alone go first, one by one. What a test returns is
 * worth saying.
 */
export async function runAll(tests, lanes = [undefined]) {
  const only = process.argv[2] ?? '';
  const chosen = tests.filter(({ name }) => name.includes(only));
  let failed = 0;
  const run = (waiting, lanes) => Promise.all(lanes.map(async (lane) => {
    for (let test = waiting.shift(); test; test = waiting.shift()) {
      const began = Date.now();
      try {
        const told = await test.run(lane);
        remark(told);
        console.log(`ok    ${test.name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
      } catch (error) {
        failed += 1;
        console.error(`FAIL  ${test.name}\n${error.stack}`);
      }
    }
  }));
  await run(chosen.filter(({ isAlone }) => isAlone), lanes.slice(0, 1));
  await run(chosen.filter(({ isAlone }) => !isAlone), lanes);
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  // This ends the server, too, and a browser that a failed test has left behind.
  process.exit(failed > 0 || chosen.length === 0 ? 1 : 0);
}
