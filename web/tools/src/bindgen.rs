//! What wasm-bindgen makes of the wasm that cargo built.

use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

#[derive(Debug, thiserror::Error)]
pub enum BindgenError {
    #[error("wasm-bindgen on {}: {problem}", wasm.display())]
    Bindgen { wasm: PathBuf, problem: String },
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: std::io::Error },
}

/// What the glue finds by name, and is given instead: all by which it reaches out of its own text. The global object has
/// four names.
const HOST: &str = "{ WebAssembly, globalThis, self, window, global, console }";

/// Writes an ES module with one instance.
pub fn module(wasm: &Path, folder: &Path, name: &str) -> Result<(), BindgenError> {
    let made = Bindgen::new()
        .input_path(wasm)
        .out_name(name)
        .typescript(true)
        .omit_default_module_path(false)
        .web(true)
        .and_then(|bindgen| bindgen.generate(folder));
    made.map_err(|problem| failed(wasm, &problem))
}

/// Writes `glue.js`, whose `bind` makes as many instances as are wanted, each with what of its surroundings it is given; the
/// types; and the wasm, which has no name section.
pub fn factory(wasm: &Path, folder: &Path, name: &str) -> Result<(), BindgenError> {
    let bindgen = || {
        let mut bindgen = Bindgen::new();
        bindgen.input_path(wasm).out_name(name).typescript(true).omit_default_module_path(true);
        bindgen
    };
    let glue = bindgen().no_modules(true).and_then(Bindgen::generate_output);
    let mut glue = glue.map_err(|problem| failed(wasm, &problem))?;
    // The other kind's types are inside a namespace.
    let types = bindgen().bundler(true).and_then(Bindgen::generate_output);
    let types = types.map_err(|problem| failed(wasm, &problem))?;
    let text = format!(
        "/* eslint-disable */\n/** The classes of an instance of their own, and `initSync`, which makes it. */\n\
         export function bind({HOST}) {{\n{}\nreturn wasm_bindgen;\n}}\n",
        glue.js().trim()
    );
    std::fs::create_dir_all(folder)
        .map_err(|source| BindgenError::File { file: folder.to_owned(), source })?;
    write(folder.join("glue.js"), text.as_bytes())?;
    write(folder.join(format!("{name}.d.ts")), types.ts().unwrap_or_default().as_bytes())?;
    write(folder.join(format!("{name}_bg.wasm")), &glue.wasm_mut().emit_wasm())
}

fn write(file: PathBuf, bytes: &[u8]) -> Result<(), BindgenError> {
    std::fs::write(&file, bytes).map_err(|source| BindgenError::File { file, source })
}

fn failed(wasm: &Path, problem: &dyn std::fmt::Display) -> BindgenError {
    BindgenError::Bindgen { wasm: wasm.to_owned(), problem: format!("{problem:#}") }
}
