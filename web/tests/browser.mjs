// A browser with WebGPU on a software adapter, and a server of files: what the tests in `web` share.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

// The system's Chromium: none is downloaded.
const BROWSERS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const FLAGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--disable-vulkan-surface",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-quic",
  "--js-flags=--expose-gc",
];

/// The path of the browser; `CHROMIUM` in the environment names another one.
export function browserPath() {
  const path = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
  if (!path) throw new Error(`no Chromium at ${BROWSERS.join(", ")}; install one, or name it in CHROMIUM`);
  return path;
}

/// Starts the browser; `flags` besides the usual ones. The caller closes it.
export async function launch({ flags = [], webgpu = true } = {}) {
  const usual = webgpu ? FLAGS : FLAGS.filter((flag) => !/webgpu|Vulkan/i.test(flag));
  return chromium.launch({
    executablePath: browserPath(),
    args: [...usual, ...flags],
    headless: true,
  });
}

/// Opens a page whose console and errors go to this program's output.
/// `problems` gathers uncaught errors.
export async function openPage(browser, problems = []) {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  page.on("console", (message) => console.log(`  [${message.type()}] ${message.text()}`));
  page.on("pageerror", (error) => {
    problems.push(error.message);
    console.error(`  [uncaught] ${error.stack ?? error.message}`);
  });
  page.on("crash", () => problems.push("the page crashed"));
  return page;
}

/// Serves a folder of the repository; gives its URL and a function that ends the server.
export async function serve(folder) {
  const server = spawn(
    process.env.CARGO ?? "cargo",
    ["run", "--quiet", "--package", "lookahead-wgpu-web-tools", "--", "serve", join(ROOT, folder), "--port", "0"],
    { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"], detached: process.platform !== "win32" },
  );
  const lines = createInterface({ input: server.stdout });
  const url = await new Promise((resolve, reject) => {
    lines.once("line", resolve);
    server.once("exit", (code) => reject(new Error(`the server ended (${code})`)));
    server.once("error", reject);
  });
  // cargo starts the server as its child: both end.
  const stop = () => {
    server.removeAllListeners("exit");
    if (process.platform === "win32") server.kill();
    else process.kill(-server.pid);
  };
  return { url, stop };
}
