//! What more workers bring, from 1 to 4096, without any: time by a network with a latency and a bandwidth, and loss on a noisy
//! quadratic in closed form and on a logistic regression that is run; and what breaks first.

mod arguments;
mod error;
mod findings;
mod measure;
mod network;
mod outer;
mod plot;
mod quadratic;
mod regression;
mod report;
mod schedule;

use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use train::output::Output;

use arguments::Arguments;
use error::ScaleError;
use regression::Regression;
use report::{Loss, Report};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.measure {
        return measure::run(&arguments);
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), ScaleError> {
    arguments.check()?;
    // Before all that takes long.
    let picture = arguments.plot.as_deref().map(Output::open).transpose()?;
    let logistic = if arguments.no_logistic { vec![] } else { logistic(arguments)? };
    let report = Report::new(arguments, logistic);
    if let Some(picture) = picture {
        picture.write(&plot::png(&report)?)?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(())
}

/// The logistic regression's losses, with a bar where it takes long.
fn logistic(arguments: &Arguments) -> Result<Vec<Loss>, ScaleError> {
    let (cells, sgd) = (report::cells(), arguments.sgd());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} %, {eta} left");
    let bar = ProgressBar::new(regression::work(&cells, &sgd)).with_message("Logistic regression");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let done = |steps| bar.inc(steps);
    let excess = Regression::new()?.excess(&cells, &sgd, &arguments.outer(), done);
    bar.finish_and_clear();
    let loss = |(cell, loss): (&regression::Cell, f64)| Loss { cell: *cell, loss };
    Ok(cells.iter().zip(excess).map(loss).collect())
}
