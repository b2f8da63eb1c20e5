//! A process that steps Burn's optimizer for another one, which measures: a line of JSON asks, a line of JSON answers.

use std::io::{BufRead, Write, stdin, stdout};

use serde::{Deserialize, Serialize};

use crate::{
    burn_device, burn_peer,
    contender::{Contender, Local},
    peer::{Failure, Method},
    tensors::List,
};

/// What is asked.
#[derive(Deserialize, Serialize)]
pub enum Request {
    Check,
    Sample { cycles: u32 },
}

/// What [`Request::Check`] is answered with, or why it is not.
pub type Checked = Result<Vec<Vec<f32>>, String>;

/// What [`Request::Sample`] is answered with, or why it is not.
pub type Sampled = Result<f64, String>;

/// Answers until nothing more is asked.
pub fn run(adapter: Option<&str>, list: List, method: Method) -> Result<(), Failure> {
    let device = burn_device::open(adapter)?;
    let mut burn = Local::new(list, move |tensors| burn_peer::make(&device, tensors, method));
    for line in stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Check => {
                let checked: Checked = burn.check().map_err(|problem| problem.to_string());
                serde_json::to_string(&checked)?
            }
            Request::Sample { cycles } => {
                let sampled: Sampled = burn.sample(cycles).map_err(|problem| problem.to_string());
                serde_json::to_string(&sampled)?
            }
        };
        let mut out = stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
