//! An optimizer in another process, which `serve` is the other side of.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use clap::ValueEnum;
use serde::de::DeserializeOwned;

use crate::{
    contender::Contender,
    peer::{Failure, Method},
    serve::{Checked, Request, Sampled},
    tensors::List,
};

pub struct Remote {
    program: PathBuf,
    child: Child,
    /// Closed to end the process.
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Remote {
    pub fn start(program: &Path, adapter: &str, list: List, method: Method) -> Result<Self, Failure> {
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map(|value| value.get_name().to_owned()).unwrap_or_default()
        };
        let mut child = Command::new(program)
            .args(["--adapter", adapter, "--tensors", &name(list.to_possible_value())])
            .args(["--serve", &name(method.to_possible_value())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|problem| format!("`{}` cannot be started ({problem})", program.display()))?;
        let (ask, answers) = child.stdin.take().zip(child.stdout.take()).ok_or("a process has no pipes")?;
        Ok(Self { program: program.to_owned(), child, ask: Some(ask), answers: BufReader::new(answers) })
    }

    fn request<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        let gone = |program: &Path, why: &str| -> Failure {
            format!("`{}` has ended before it answered ({why})", program.display()).into()
        };
        let ask = self.ask.as_mut().ok_or("a process that has ended is asked")?;
        let line = serde_json::to_string(request)? + "\n";
        ask.write_all(line.as_bytes())
            .and_then(|()| ask.flush())
            .map_err(|problem| gone(&self.program, &problem.to_string()))?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(gone(&self.program, "see what it says above"));
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Contender for Remote {
    fn check(&mut self) -> Result<Vec<Vec<f32>>, Failure> {
        Ok(self.request::<Checked>(&Request::Check)??)
    }

    fn sample(&mut self, cycles: u32) -> Result<f64, Failure> {
        Ok(self.request::<Sampled>(&Request::Sample { cycles })??)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        drop(self.ask.take());
        // Its own exit status says nothing new: what it failed at, it has answered.
        let _ = self.child.wait();
    }
}
