//! Checking that the library compiles for the other platforms.

use std::path::Path;

use crate::command::{CommandError, CommandLine};
use crate::workspace::LIBRARY;

/// A platform, and what of the package can be checked for it from here.
pub struct Target {
    pub triple: &'static str,
    /// What to check, as cargo's options.
    pub parts: &'static [&'static str],
}

/// What browsers run.
pub const WEB: Target = Target { triple: "wasm32-unknown-unknown", parts: &["--lib"] };

pub const TARGETS: [Target; 2] =
    [WEB, Target { triple: "x86_64-pc-windows-msvc", parts: &["--lib", "--examples"] }];

/// What is checked with the oldest Rust.
pub const MACOS: &str = "aarch64-apple-darwin";

#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("the target {triple} is not installed; run: {command}")]
    NotInstalled { triple: &'static str, command: CommandLine },
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl Target {
    /// Type-checks for this target, its standard library installed first when that is allowed.
    pub fn check(&self, install: bool) -> Result<(), TargetError> {
        self.provide(install)?;
        Ok(self.check_command().run()?)
    }

    /// Installs its standard library where it is missing and that is allowed.
    pub fn provide(&self, install: bool) -> Result<(), TargetError> {
        provide(self.triple, None, install)
    }

    fn check_command(&self) -> CommandLine {
        let words = ["check", "--package", LIBRARY, "--target", self.triple];
        CommandLine::new("cargo", words.iter().chain(self.parts).copied())
    }
}

/// Installs a target's standard library where it is missing and that is allowed, of a toolchain or of the one in use.
pub fn provide(triple: &'static str, toolchain: Option<&str>, install: bool) -> Result<(), TargetError> {
    if !is_installed(triple, toolchain)? {
        let command = install_command(triple, toolchain);
        if !install {
            return Err(TargetError::NotInstalled { triple, command });
        }
        command.run()?;
    }
    Ok(())
}

fn is_installed(triple: &str, toolchain: Option<&str>) -> Result<bool, CommandError> {
    let words = ["rustc", "--print", "target-libdir", "--target", triple];
    let command = match toolchain {
        None => CommandLine::new("rustc", words.into_iter().skip(1)),
        Some(toolchain) => CommandLine::new("rustup", ["run", toolchain].into_iter().chain(words)),
    };
    Ok(Path::new(command.read()?.trim_end()).is_dir())
}

fn install_command(triple: &str, toolchain: Option<&str>) -> CommandLine {
    let command = CommandLine::new("rustup", ["target", "add", triple]);
    match toolchain {
        None => command,
        Some(toolchain) => command.arg("--toolchain").arg(toolchain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_gets_the_library_alone_and_the_desktop_the_examples_too() {
        let commands = TARGETS.map(|target| target.check_command().to_string());
        assert_eq!(
            commands,
            [
                "cargo check --package lookahead-wgpu --target wasm32-unknown-unknown --lib",
                "cargo check --package lookahead-wgpu --target x86_64-pc-windows-msvc \
                 --lib --examples",
            ]
        );
    }

    #[test]
    fn a_missing_target_says_how_to_install_it() {
        let triple = TARGETS[0].triple;
        let error = TargetError::NotInstalled { triple, command: install_command(triple, None) };
        assert_eq!(
            error.to_string(),
            "the target wasm32-unknown-unknown is not installed; \
             run: rustup target add wasm32-unknown-unknown"
        );
        assert_eq!(
            install_command(MACOS, Some("1.88")).to_string(),
            "rustup target add aarch64-apple-darwin --toolchain 1.88"
        );
    }
}
