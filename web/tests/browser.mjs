// Chromium with WebGPU on SwiftShader, and none of what it does by itself.

import { availableParallelism } from 'node:os';
import { chromium } from 'playwright-core';

const quiet = [
  '--headless=new', '--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--no-first-run', '--disable-quic',
];
const webgpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];

export function launch({ hasGpu = true } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...quiet, ...(hasGpu ? webgpu : [])],
  });
}

/** Several, for tests side by side: a browser compiles on one thread. */
export function launchSeveral() {
  return Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, () => launch()));
}
