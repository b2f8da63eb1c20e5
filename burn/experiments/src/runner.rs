//! Several runs beside each other, each in a process of its own: Burn's random numbers are one stream a process.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use serde::Deserialize;

use crate::run::record::{Record, Run};
use crate::store::Store;
use crate::train::TrainError;

/// A run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A record cannot be read or written.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The process could not be started.
    #[error("`{program}` cannot be started: {source}")]
    Start {
        /// This program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The process failed.
    #[error("{run} failed: {reason}")]
    Failed {
        /// The run.
        run: String,
        /// The last it said.
        reason: String,
    },
}

/// How runs are made.
#[derive(Debug, Clone)]
pub struct Runner {
    /// This program, and what comes before a run on its command line.
    pub program: PathBuf,
    /// Arguments of all runs.
    pub arguments: Vec<String>,
    /// Processes beside each other.
    pub jobs: usize,
}

/// What a process tells.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Told {
    Begin {
        step: u64,
        steps: u64,
    },
    Step {
        step: u64,
    },
    #[serde(other)]
    Other,
}

/// How far the runs are.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Runs that are over.
    pub done: usize,
    /// All runs.
    pub runs: usize,
    /// The parts of the runs under way that are done, from 0 to 1, and what they are.
    pub under_way: Vec<(String, f64)>,
}

enum Message {
    Told(usize, Told),
    Ended(usize, Result<(), RunnerError>),
}

impl Runner {
    /// Makes the runs that have no record yet, and gives the records of all, in order. `observe` is told how far it is.
    ///
    /// # Errors
    ///
    /// [`RunnerError`] of the first run that failed; those beside it are ended, and go on from their checkpoints when
    /// this is called again.
    pub fn run(
        &self,
        runs: &[Run],
        store: &Store,
        observe: &mut dyn FnMut(&Standing),
    ) -> Result<Vec<Record>, RunnerError> {
        let mut waiting = VecDeque::new();
        for (index, run) in runs.iter().enumerate() {
            if store.load(run)?.is_none() {
                waiting.push_back(index);
            }
        }
        let mut standing = Standing { done: runs.len() - waiting.len(), runs: runs.len(), under_way: vec![] };
        observe(&standing);
        let (sender, receiver) = channel();
        let mut working: Vec<Working> = vec![];
        loop {
            while working.len() < self.jobs.max(1)
                && let Some(index) = waiting.pop_front()
            {
                working.push(self.start(index, &runs[index], sender.clone())?);
            }
            if working.is_empty() {
                break;
            }
            match receiver.recv() {
                Ok(Message::Told(index, told)) => {
                    if let Some(it) = working.iter_mut().find(|it| it.index == index) {
                        match told {
                            Told::Begin { step, steps } => (it.step, it.steps) = (step, steps),
                            Told::Step { step } => it.step = step,
                            Told::Other => {}
                        }
                    }
                }
                Ok(Message::Ended(index, result)) => {
                    working.retain(|it| it.index != index);
                    result?;
                    standing.done += 1;
                }
                // Each thread sends its run's end before it lets go.
                Err(_) => break,
            }
            standing.under_way = working.iter().map(|it| (it.name.clone(), it.part())).collect();
            observe(&standing);
        }
        let mut records = Vec::new();
        for run in runs {
            let missing =
                || RunnerError::Failed { run: run.method.to_string(), reason: "it left no record".into() };
            records.push(store.load(run)?.ok_or_else(missing)?);
        }
        Ok(records)
    }

    fn start(&self, index: usize, run: &Run, sender: Sender<Message>) -> Result<Working, RunnerError> {
        let name = format!("{}, seed {}", run.method, run.seed);
        let failed = |reason: String| RunnerError::Failed { run: name.clone(), reason };
        let described = serde_json::to_string(run).map_err(|problem| failed(problem.to_string()))?;
        let started = Command::new(&self.program)
            .args(&self.arguments)
            .args(["--json", "--run", &described])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = started
            .map_err(|source| RunnerError::Start { program: self.program.display().to_string(), source })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let guard = Guard(child);
        let thread_name = name.clone();
        thread::spawn(move || {
            let mut guard = guard;
            let said = thread::spawn(move || {
                let mut text = String::new();
                // What it said is for people alone: what cannot be read is left out.
                let _ = stderr.map(|mut stderr| stderr.read_to_string(&mut text));
                text
            });
            for line in
                stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok)
            {
                if let Ok(told) = serde_json::from_str(&line)
                    && sender.send(Message::Told(index, told)).is_err()
                {
                    // Another run failed: the guard ends this one.
                    return;
                }
            }
            let said = said.join().unwrap_or_default();
            let reason = said.trim().lines().last().unwrap_or("it said nothing").to_owned();
            let result = match guard.0.wait() {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => {
                    Err(RunnerError::Failed { run: thread_name, reason: format!("{reason} ({status})") })
                }
                Err(problem) => Err(RunnerError::Failed { run: thread_name, reason: problem.to_string() }),
            };
            // Nobody listens any more where another run failed.
            let _ = sender.send(Message::Ended(index, result));
        });
        Ok(Working { index, name, step: 0, steps: 0 })
    }
}

struct Working {
    index: usize,
    name: String,
    step: u64,
    steps: u64,
}

impl Working {
    fn part(&self) -> f64 {
        self.step as f64 / self.steps.max(1) as f64
    }
}

/// Ends the process when it is let go of.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
