//! Command lines: shown before they run, run with their output passed straight through.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use crate::output;

/// A program, its arguments and the environment variables to add.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine {
    env: Vec<(&'static str, String)>,
    program: String,
    args: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("could not start `{command}`: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: ExitStatus },
}

impl CommandLine {
    /// The words of a command line, the program first.
    pub fn new<'a>(program: &str, args: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            env: Vec::new(),
            program: program.to_owned(),
            args: args.into_iter().map(str::to_owned).collect(),
        }
    }

    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn envs(mut self, env: Vec<(&'static str, String)>) -> Self {
        self.env.extend(env);
        self
    }

    /// Prints the command line and runs it, its output going where this program's goes.
    pub fn run(&self) -> Result<(), CommandError> {
        output::line(format_args!("$ {}", self.typed()));
        let status = self.command().status().map_err(|e| self.not_started(e))?;
        self.success(status)
    }

    /// Runs it silently and returns what it printed on standard output.
    pub fn read(&self) -> Result<String, CommandError> {
        let output = self.command().stderr(Stdio::inherit()).output().map_err(|e| self.not_started(e))?;
        self.success(output.status)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// As one would type it, each environment variable on a line of its own.
    fn typed(&self) -> String {
        let variable = |(name, value): &(_, String)| format!("{name}={} \\\n  ", quoted(value));
        let environment: String = self.env.iter().map(variable).collect();
        format!("{environment}{self}")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(executable(&self.program));
        command.args(&self.args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn not_started(&self, source: io::Error) -> CommandError {
        CommandError::Start { command: self.to_string(), source }
    }

    fn success(&self, status: ExitStatus) -> Result<(), CommandError> {
        if status.success() {
            return Ok(());
        }
        Err(CommandError::Failed { command: self.to_string(), status })
    }
}

/// Shown as `cargo`, but run as the very cargo that runs this program.
fn executable(program: &str) -> OsString {
    let this_cargo = (program == "cargo").then(|| std::env::var_os("CARGO"));
    this_cargo.flatten().unwrap_or_else(|| program.into())
}

/// The command without its environment, for use within a sentence.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", quoted(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

/// A word as a POSIX shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_as_one_would_type_it() {
        let command = CommandLine::new("cargo", ["run", "a b"]).arg("it's");
        assert_eq!(command.typed(), r"cargo run 'a b' 'it'\''s'");
        let command = command.envs(vec![("A", "1:2".into()), ("B", "".into())]);
        let typed = "A=1:2 \\\n  B='' \\\n  cargo run 'a b' 'it'\\''s'";
        assert_eq!(command.typed(), typed);
        assert_eq!(command.to_string(), r"cargo run 'a b' 'it'\''s'");
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let error = CommandLine::new("no-such-program-here", ["x"]).read();
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("could not start `no-such-program-here x`"), "{text}");
    }
}
