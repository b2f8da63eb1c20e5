//! `cargo xtask web`: the page and the npm package, built and served, and their tests.

use std::io;
use std::path::{Path, PathBuf};

use crate::adapters;
use crate::chromium;
use crate::command::{CommandError, CommandLine};
use crate::node::{self, NodeError};
use crate::output;
use crate::targets::{TargetError, WEB};
use crate::workspace::{Workspace, WorkspaceError};

#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Chromium(#[from] chromium::Missing),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("{package} would bring {unwanted} along, which it works without; see `{command}`")]
    Unwanted { package: &'static str, unwanted: &'static str, command: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// A crate that becomes an ES module.
struct Module {
    package: &'static str,
    name: &'static str,
    folder: &'static str,
    /// The most bytes that its wasm file may have gzipped, or the module that it is in.
    budget: u64,
    /// Crates that it must not depend on.
    unwanted: &'static [&'static str],
}

const PACKAGE: Module = Module {
    package: "lookahead-wgpu-web",
    name: "lookahead_wgpu",
    folder: "web/dist/package",
    budget: 375_000,
    // A browser compiles WGSL, and the package has an engine of its own.
    unwanted: &["naga", "wgpu"],
};
const PAGE: Module = Module {
    package: "lookahead-wgpu-page",
    name: "lookahead_wgpu_page",
    folder: "web/dist/page",
    budget: 700_000,
    unwanted: &["naga"],
};

/// The library's tests, which nobody downloads.
const TESTS: Module = Module {
    package: "lookahead-wgpu-web-tests",
    name: "lookahead_wgpu_tests",
    folder: "web/dist/tests",
    budget: u64::MAX,
    unwanted: &[],
};

/// Tests of what was built, by a program for Node.js that starts Chromium.
pub struct Suite {
    pub name: &'static str,
    pub about: &'static str,
    script: &'static str,
}

pub const SUITES: [Suite; 8] = [
    Suite {
        name: "kernels in Dawn",
        about: "every kernel, through the compiler of Chromium",
        script: "web/tests/dawn.mjs",
    },
    Suite {
        name: "tests in Chromium",
        about: "the library's tests, on SwiftShader",
        script: "web/tests/suite.mjs",
    },
    Suite {
        name: "npm package in Chromium",
        about: "the JavaScript package, and its TypeScript types",
        script: "web/package-tests/run.mjs",
    },
    Suite {
        name: "npm package in Vite and webpack",
        about: "installed in projects that serve and build with them",
        script: "web/package-tests/bundlers.mjs",
    },
    Suite {
        name: "npm package in Node.js",
        about: "the JavaScript package on Dawn",
        script: "web/package-tests/node.mjs",
    },
    Suite {
        name: "npm package in Deno",
        about: "the JavaScript package on wgpu",
        script: "web/package-tests/deno.mjs",
    },
    Suite {
        name: "npm package with other libraries",
        about: "on the devices of TensorFlow.js and jax-js",
        script: "web/package-tests/libraries.mjs",
    },
    Suite { name: "page in Chromium", about: "the page, from end to end", script: "web/page/tests/e2e.mjs" },
];

/// What to do with what was built.
pub enum Then {
    Serve { port: u16 },
    Test,
    Nothing,
}

/// Builds, and tests, or serves until the process ends.
pub fn run(install: bool, then: &Then) -> Result<(), WebError> {
    output::heading("web: the page and the npm package");
    let workspace = Workspace::here()?;
    build(&workspace, install)?;
    match then {
        Then::Nothing => Ok(()),
        Then::Serve { port } => {
            output::heading("serving: end with Ctrl-C");
            let folder = workspace.root.join("web/dist");
            Ok(tool("serve").arg(folder.to_string_lossy()).arg("--port").arg(port.to_string()).run()?)
        }
        Then::Test => {
            build_tests(&workspace, install)?;
            let browser = Browser::provide(install)?;
            for suite in &SUITES {
                output::heading(format_args!("{}: {}", suite.name, suite.about));
                suite.run(&workspace, &browser)?;
            }
            Ok(())
        }
    }
}

/// What the suites run in.
pub struct Browser {
    program: String,
    /// The driver file of the SwiftShader that came with it: native runs are compared on the same.
    swiftshader: Option<String>,
}

impl Browser {
    /// Chromium, installed where it is missing and that is allowed.
    pub fn provide(install: bool) -> Result<Self, WebError> {
        let program = chromium::provide(install)?;
        let swiftshader = adapters::find_here().swiftshader;
        Ok(Self { program, swiftshader: swiftshader.map(|file| file.to_string_lossy().into_owned()) })
    }

    /// How the suites are told.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let driver = self.swiftshader.clone().map(|file| ("SWIFTSHADER_ICD", file));
        [("CHROMIUM", self.program.clone())].into_iter().chain(driver).collect()
    }
}

impl Suite {
    /// Runs on what [`build`] and [`build_tests`] made.
    pub fn run(&self, workspace: &Workspace, browser: &Browser) -> Result<(), WebError> {
        let script = workspace.root.join(self.script);
        let command = CommandLine::new("node", []).arg(script.to_string_lossy());
        Ok(command.envs(browser.environment()).run()?)
    }
}

/// Makes `web/dist/tests`. Nobody downloads it, so that it is as it is quickest to build.
pub fn build_tests(workspace: &Workspace, install: bool) -> Result<(), WebError> {
    WEB.provide(install)?;
    node::provide(&workspace.root.join("web"), install)?;
    let folder = workspace.root.join(TESTS.folder);
    remove(&folder)?;
    cargo(&["build"], [TESTS.package]).run()?;
    Ok(bindgen("bindgen", &built(workspace, "debug", &TESTS), &folder, TESTS.name).run()?)
}

/// Makes `web/dist/package`, and `web/dist/page` with a copy of it inside.
pub fn build(workspace: &Workspace, install: bool) -> Result<(), WebError> {
    let web = workspace.root.join("web");
    WEB.provide(install)?;
    node::provide(&web, install)?;
    let modules = [PACKAGE, PAGE];
    for module in &modules {
        remove(&workspace.root.join(module.folder))?;
    }
    // One after the other: together, each would have the other's features of the library.
    for module in &modules {
        cargo(&["build", "--profile", "web"], [module.package]).run()?;
    }
    bundle_page(workspace)?;
    bundle_package(workspace)?;
    let package = workspace.root.join(PACKAGE.folder);
    copy_folder(&web.join("package"), &package)?;
    for file in ["package.json", "README.md"] {
        copy(&web.join(file), &package.join(file))?;
    }
    for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
        copy(&workspace.root.join(file), &package.join(file))?;
    }
    let page = workspace.root.join(PAGE.folder);
    copy_folder(&web.join("page/static"), &page)?;
    // Sweeps and paths run on it.
    copy_folder(&package, &page.join("package"))?;
    for file in ["uPlot.esm.js", "uPlot.min.css"] {
        copy(&web.join("node_modules/uplot/dist").join(file), &page.join("vendor").join(file))?;
    }
    Ok(())
}

/// Runs clippy on all that is built for the web, and sees to it that what is downloaded stays small.
pub fn lint(install: bool) -> Result<(), WebError> {
    WEB.provide(install)?;
    let command = cargo(&["clippy"], [PACKAGE.package, PAGE.package, TESTS.package]);
    ["--", "-D", "warnings"].into_iter().fold(command, CommandLine::arg).run()?;
    for Module { package, unwanted, .. } in [PACKAGE, PAGE] {
        let command = cargo(&["tree", "--edges", "normal", "--prefix", "none"], [package]);
        let tree = command.read()?;
        let is_there = |name: &&&str| tree.lines().any(|line| line.split(' ').next() == Some(**name));
        if let Some(unwanted) = unwanted.iter().find(is_there) {
            return Err(WebError::Unwanted { package, unwanted, command: command.to_string() });
        }
    }
    Ok(())
}

/// cargo's command, on packages and for the web.
fn cargo<const N: usize>(words: &[&str], packages: [&str; N]) -> CommandLine {
    let command = CommandLine::new("cargo", words.iter().copied()).arg("--target").arg(WEB.triple);
    packages.into_iter().fold(command, |command, package| command.arg("--package").arg(package))
}

/// Makes the page's ES module of what cargo built.
fn bundle_page(workspace: &Workspace) -> Result<(), WebError> {
    let folder = workspace.root.join(PAGE.folder);
    bindgen("bindgen", &built(workspace, "web", &PAGE), &folder, PAGE.name).run()?;
    let wasm = folder.join(format!("{}_bg.wasm", PAGE.name));
    wasm_opt(&workspace.root.join("web"), &wasm).run()?;
    Ok(size(&wasm, &PAGE).run()?)
}

/// Makes the parts of the package that are not written by hand: the glue, the types, and the wasm, as a file and within
/// the module that the others import.
fn bundle_package(workspace: &Workspace) -> Result<(), WebError> {
    let folder = workspace.root.join(PACKAGE.folder);
    bindgen("factory", &built(workspace, "web", &PACKAGE), &folder, PACKAGE.name).run()?;
    let wasm = folder.join(format!("{}_bg.wasm", PACKAGE.name));
    wasm_opt(&workspace.root.join("web"), &wasm).run()?;
    let module = folder.join("wasm.js");
    tool("embed").arg(wasm.to_string_lossy()).arg(module.to_string_lossy()).run()?;
    Ok(size(&module, &PACKAGE).run()?)
}

/// Fails where a file is beyond a module's budget.
fn size(file: &Path, module: &Module) -> CommandLine {
    tool("size").arg(file.to_string_lossy()).arg("--budget").arg(module.budget.to_string())
}

/// The wasm that cargo built, in its folder of a profile.
fn built(workspace: &Workspace, profile: &str, module: &Module) -> PathBuf {
    let file = format!("{}/{profile}/{}.wasm", WEB.triple, module.package.replace('-', "_"));
    workspace.target.join(file)
}

fn bindgen(kind: &str, wasm: &Path, folder: &Path, name: &str) -> CommandLine {
    tool(kind).arg(wasm.to_string_lossy()).arg(folder.to_string_lossy()).arg("--name").arg(name)
}

/// What rustc's wasm uses of WebAssembly beyond its first version; every browser with WebGPU has it.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

fn wasm_opt(web: &Path, wasm: &Path) -> CommandLine {
    let program = web.join("node_modules/binaryen/bin/wasm-opt");
    let command = CommandLine::new("node", []).arg(program.to_string_lossy()).arg("-Oz");
    let command = WASM_FEATURES.into_iter().fold(command, CommandLine::arg);
    command.arg(wasm.to_string_lossy()).arg("-o").arg(wasm.to_string_lossy())
}

fn tool(name: &str) -> CommandLine {
    CommandLine::new("cargo", ["run", "--quiet", "--package", "lookahead-wgpu-web-tools", "--", name])
}

/// Removes what an earlier build left.
fn remove(folder: &Path) -> Result<(), WebError> {
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(WebError::File { path: folder.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), WebError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| WebError::File { path, source }
    };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    std::fs::copy(from, to).map(|_| ()).map_err(failed(from))
}

/// Copies a folder's files, and those of the folders inside.
fn copy_folder(from: &Path, to: &Path) -> Result<(), WebError> {
    let failed = |source| WebError::File { path: from.to_owned(), source };
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            copy(&entry.path(), &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_built_for_the_web() {
        assert_eq!(
            cargo(&["build", "--profile", "web"], ["a"]).to_string(),
            "cargo build --profile web --target wasm32-unknown-unknown --package a"
        );
    }

    #[test]
    fn wasm_opt_rewrites_the_file() {
        let command = wasm_opt(Path::new("/w"), Path::new("/x.wasm")).to_string();
        assert!(command.starts_with("node /w/node_modules/binaryen/bin/wasm-opt -Oz --enable-"), "{command}");
        assert!(command.ends_with("/x.wasm -o /x.wasm"), "{command}");
    }
}
