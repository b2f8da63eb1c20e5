//! `cargo xtask burn`: the tests of the workspace in `burn/`.

use std::path::Path;

use crate::adapters::quiet_device_select;
use crate::command::{CommandError, CommandLine};
use crate::output;
use crate::provide::{self, NoAdapter};
use crate::workspace::{Workspace, WorkspaceError};

#[derive(Debug, thiserror::Error)]
pub enum BurnError {
    #[error(transparent)]
    NoAdapter(#[from] NoAdapter),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// Sees to an adapter, and runs the tests.
pub fn run(install: bool, with_fusion: bool) -> Result<(), BurnError> {
    output::heading("adapter: what Burn's wgpu runs on");
    provide::any(install)?;

    output::heading("burn: the tests of lookahead-burn, its documentation and the experiments");
    let mut test = test(&Workspace::here()?.root.join("burn/Cargo.toml"), with_fusion);
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        test = test.envs(vec![quiet_device_select()]);
    }
    Ok(test.run()?)
}

/// Without fusion it is the library alone: the experiments are with it.
const WITHOUT_FUSION: [&str; 5] =
    ["--package", "lookahead-burn", "--no-default-features", "--features", "wgpu"];

fn test(manifest: &Path, with_fusion: bool) -> CommandLine {
    // Slow without optimisation.
    let words = ["test", "--release", "--locked"];
    let packages: &[&str] = if with_fusion { &["--workspace"] } else { &WITHOUT_FUSION };
    CommandLine::new("cargo", words.into_iter().chain(packages.iter().copied()))
        .arg("--manifest-path")
        .arg(manifest.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_lock_file_is_kept_to() {
        let shown = |with_fusion| test(Path::new("/b/Cargo.toml"), with_fusion).to_string();
        assert_eq!(shown(true), "cargo test --release --locked --workspace --manifest-path /b/Cargo.toml");
        assert_eq!(
            shown(false),
            "cargo test --release --locked --package lookahead-burn --no-default-features --features wgpu \
             --manifest-path /b/Cargo.toml"
        );
    }
}
