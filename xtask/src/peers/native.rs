//! The program of `benches/peers/native`, built with Burn's fusion and without.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::adapters::quiet_device_select;
use crate::bundle;
use crate::command::{CommandError, CommandLine};
use crate::output;
use crate::provide::{self, NoAdapter};
use crate::workspace::Workspace;

#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    #[error(transparent)]
    NoAdapter(#[from] NoAdapter),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("cargo built no program of {}", manifest.display())]
    NotBuilt { manifest: PathBuf },
    #[error("could not write {}: {source}", file.display())]
    Write { file: PathBuf, source: io::Error },
}

/// What cargo calls the program.
const PROGRAM: &str = "peers";

pub struct Native {
    program: PathBuf,
    fused: PathBuf,
}

impl Native {
    /// Sees to an adapter, and builds the program twice: fusion is another backend of Burn's.
    pub fn build(workspace: &Workspace, install: bool) -> Result<Self, NativeError> {
        provide::any(install)?;
        let build = |name: &str, features: &[&str]| {
            let manifest = workspace.root.join("benches/peers/native/Cargo.toml");
            let command = cargo(&manifest, &workspace.target, features);
            output::line(format_args!("$ {command}"));
            let built =
                bundle::program(&command.read()?, PROGRAM).ok_or(NativeError::NotBuilt { manifest })?;
            // The other build would take its place.
            let file = workspace.target.join("peers").join(name);
            let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
            folder
                .and_then(|()| fs::copy(&built, &file))
                .map_err(|source| NativeError::Write { file: file.clone(), source })?;
            Ok::<_, NativeError>(file)
        };
        Ok(Self { program: build("peers", &[])?, fused: build("peers-fusion", &["--features", "fusion"])? })
    }

    /// Measures, and gives the report that it prints.
    pub fn run(&self, adapter: Option<&str>, tensors: &str, seconds: f64) -> Result<String, NativeError> {
        let mut command = CommandLine::new(&self.program.to_string_lossy(), ["--tensors", tensors])
            .arg("--seconds")
            .arg(seconds.to_string())
            .arg("--fused")
            .arg(self.fused.to_string_lossy());
        if let Some(adapter) = adapter {
            command = command.arg("--adapter").arg(adapter);
        }
        if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            command = command.envs(vec![quiet_device_select()]);
        }
        output::line(format_args!("$ {command}"));
        Ok(command.read()?)
    }
}

fn cargo(manifest: &Path, target: &Path, features: &[&str]) -> CommandLine {
    let words = ["build", "--release", "--locked", "--message-format=json-render-diagnostics"];
    CommandLine::new("cargo", words.into_iter().chain(features.iter().copied()))
        .arg("--manifest-path")
        .arg(manifest.to_string_lossy())
        .arg("--target-dir")
        .arg(target.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_lock_file_is_kept_to() {
        assert_eq!(
            cargo(Path::new("/n/Cargo.toml"), Path::new("/t"), &["--features", "fusion"]).to_string(),
            "cargo build --release --locked --message-format=json-render-diagnostics --features fusion \
             --manifest-path /n/Cargo.toml --target-dir /t"
        );
    }
}
