//! Checking that the library compiles with the oldest Rust that it promises: for macOS, so that this is checked at once.

use crate::command::{CommandError, CommandLine};
use crate::targets::{MACOS, TargetError, provide};
use crate::workspace::LIBRARY;

/// `rust-version` of the workspace.
pub const MSRV: &str = env!("CARGO_PKG_RUST_VERSION");

#[derive(Debug, thiserror::Error)]
pub enum MsrvError {
    #[error("Rust {MSRV} is not installed; run: {0}")]
    NotInstalled(CommandLine),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Type-checks the library with its default features and without, the toolchain installed first when that is allowed.
pub fn check(install: bool) -> Result<(), MsrvError> {
    let installed = CommandLine::new("rustup", ["toolchain", "list"]).read()?;
    if !has(&installed) {
        let command = CommandLine::new("rustup", ["toolchain", "install", MSRV, "--profile", "minimal"]);
        if !install {
            return Err(MsrvError::NotInstalled(command));
        }
        command.run()?;
    }
    provide(MACOS, Some(MSRV), install)?;
    command(&[]).run()?;
    Ok(command(&["--no-default-features"]).run()?)
}

fn command(more: &[&'static str]) -> CommandLine {
    let words = ["run", MSRV, "cargo", "check", "--package", LIBRARY, "--lib", "--target", MACOS];
    CommandLine::new("rustup", words.into_iter().chain(more.iter().copied()))
}

/// Whether `rustup toolchain list` names it: `1.88-x86_64-unknown-linux-gnu`.
fn has(installed: &str) -> bool {
    installed.lines().any(|line| line.strip_prefix(MSRV).is_some_and(|rest| rest.starts_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolchains_are_told_apart() {
        let host = "x86_64-unknown-linux-gnu";
        assert!(has(&format!("stable-{host} (active, default)\n{MSRV}-{host}\n")));
        assert!(!has(&format!("stable-{host}\n{MSRV}.1-{host}\n{MSRV}0-{host}\n")));
        assert!(!has("no installed toolchains\n"));
    }
}
