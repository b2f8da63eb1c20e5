//! `cargo xtask mpi`: the tests of the workspace in `mpi/`.

use std::path::Path;

use crate::adapters::quiet_device_select;
use crate::apt::{InstallError, Installer, find};
use crate::command::{CommandError, CommandLine};
use crate::output;
use crate::provide::{self, NoAdapter};
use crate::workspace::{Workspace, WorkspaceError};

/// What it is built with, and what starts several processes.
const PACKAGES: [&str; 3] = ["libopenmpi-dev", "openmpi-bin", "libclang-dev"];

/// MPI's compiler, from which the crate `mpi` learns where the library is, and its launcher.
const PROGRAMS: [&str; 2] = ["mpicc", "mpirun"];

#[derive(Debug, thiserror::Error)]
pub enum MpiError {
    #[error(transparent)]
    NoAdapter(#[from] NoAdapter),
    #[error("MPI and libclang: {0}")]
    NoMpi(#[from] InstallError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// Sees to MPI and an adapter, and runs the tests.
pub fn run(install: bool) -> Result<(), MpiError> {
    output::heading("MPI: what processes exchange by");
    Installer::here().provide(there, &PACKAGES, install)?;
    output::line(format_args!("found    {} and libclang", PROGRAMS.join(", ")));
    output::heading("adapter: what each process computes on");
    provide::any(install)?;

    output::heading("mpi: the tests of lookahead-mpi and its documentation");
    let mut test = test(&Workspace::here()?.root.join("mpi/Cargo.toml"));
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        test = test.envs(vec![quiet_device_select()]);
    }
    Ok(test.run()?)
}

fn there() -> Option<()> {
    let has_libclang =
        !cfg!(target_os = "linux") || std::env::var_os("LIBCLANG_PATH").is_some() || has_libclang();
    (PROGRAMS.iter().all(|program| find(program).is_some()) && has_libclang).then_some(())
}

/// Whether it is where Debian's package puts it, of whatever version.
fn has_libclang() -> bool {
    let entries = std::fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok);
    let mut versions = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"));
    versions.any(|version| version.path().join("lib/libclang.so").exists())
}

fn test(manifest: &Path) -> CommandLine {
    CommandLine::new("cargo", ["test", "--locked", "--manifest-path"]).arg(manifest.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_lock_file_is_kept_to() {
        let shown = test(Path::new("/m/Cargo.toml")).to_string();
        assert_eq!(shown, "cargo test --locked --manifest-path /m/Cargo.toml");
    }
}
