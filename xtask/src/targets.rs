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

pub const TARGETS: [Target; 3] = [
    WEB,
    Target { triple: "x86_64-pc-windows-msvc", parts: &["--lib", "--examples"] },
    Target { triple: "aarch64-apple-darwin", parts: &["--lib", "--examples"] },
];

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
        if !self.installed()? {
            let command = self.install_command();
            if !install {
                let triple = self.triple;
                return Err(TargetError::NotInstalled { triple, command });
            }
            command.run()?;
        }
        Ok(())
    }

    fn installed(&self) -> Result<bool, CommandError> {
        let words = ["--print", "target-libdir", "--target", self.triple];
        let directory = CommandLine::new("rustc", words).read()?;
        Ok(Path::new(directory.trim_end()).is_dir())
    }

    fn install_command(&self) -> CommandLine {
        CommandLine::new("rustup", ["target", "add", self.triple])
    }

    fn check_command(&self) -> CommandLine {
        let words = ["check", "--package", LIBRARY, "--target", self.triple];
        CommandLine::new("cargo", words.iter().chain(self.parts).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_gets_the_library_alone_and_the_desktops_the_examples_too() {
        let commands = TARGETS.map(|target| target.check_command().to_string());
        assert_eq!(
            commands,
            [
                "cargo check --package lookahead-wgpu --target wasm32-unknown-unknown --lib",
                "cargo check --package lookahead-wgpu --target x86_64-pc-windows-msvc \
                 --lib --examples",
                "cargo check --package lookahead-wgpu --target aarch64-apple-darwin \
                 --lib --examples",
            ]
        );
    }

    #[test]
    fn a_missing_target_says_how_to_install_it() {
        let target = &TARGETS[0];
        let error = TargetError::NotInstalled { triple: target.triple, command: target.install_command() };
        assert_eq!(
            error.to_string(),
            "the target wasm32-unknown-unknown is not installed; \
             run: rustup target add wasm32-unknown-unknown"
        );
    }
}
