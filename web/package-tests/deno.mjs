// The package in Deno, on whatever adapter it finds: `node web/package-tests/deno.mjs`, after `cargo xtask web --build`.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { needs } from '../tests/runner.mjs';

const here = resolve(fileURLToPath(import.meta.url), '..');
needs(join(here, '../dist/package/lookahead_wgpu.js'), 'cargo xtask web --build');
const deno = join(dirname(createRequire(import.meta.url).resolve('deno/package.json')), 'bin.cjs');
const run = spawn(process.execPath, [deno, 'run', '--allow-read', join(here, 'in-deno.js')], { stdio: 'inherit' });
run.on('exit', (code) => process.exit(code ?? 1));
