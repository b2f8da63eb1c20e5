//! Lookahead, Anderson acceleration and the rule alone.

mod digits;
mod method;
mod quadratic;
mod report;
mod time;

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use lookahead_wgpu::gpu::Gpu;

use digits::train;
use method::Method;
use quadratic::{Descent, NOISE};
use report::Report;
use time::Time;

/// Compares the rule alone, Lookahead and Anderson acceleration, by loss and by time
///
/// On a quadratic without noise and with it, and on digits: tables, and a plot of each in FOLDER.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    cargo run --release -p anderson\n  \
    cargo run --release -p anderson -- --k 20 --columns 8 --adapter nvidia --json found.json")]
struct Arguments {
    /// The first adapter whose name, driver or backend contains NAME, in any case
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Steps of a cycle
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    /// Columns of Anderson acceleration, at most k
    #[arg(long, value_name = "M", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=8))]
    columns: u32,
    /// Leave the digits out
    #[arg(long)]
    no_digits: bool,
    /// Where the plots go
    #[arg(long, value_name = "FOLDER", default_value = "anderson")]
    out: PathBuf,
    /// Where all numbers go
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    env_logger::init();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let out = &arguments.out;
    fs::create_dir_all(out).map_err(|problem| format!("`{}` cannot be made ({problem})", out.display()))?;
    let methods = Method::all(arguments.k, arguments.columns);
    let (mut quadratic, mut times) = (vec![], vec![]);
    for method in &methods {
        for noise in NOISE {
            quadratic.push(Descent::run(&gpu, method, noise)?);
        }
        times.push(Time::measure(&gpu, method)?);
    }
    let adapter = gpu.label();
    let digits = if arguments.no_digits { vec![] } else { train(gpu, &methods)? };
    let (k, columns) = (arguments.k, arguments.columns);
    let report = Report { adapter, k, columns, methods: methods.to_vec(), quadratic, times, digits };
    print!("{}", report.text());
    for figure in report.figures() {
        let file = out.join(format!("{}.png", figure.name));
        write(&file, &figure.png()?)?;
        println!("wrote {}", file.display());
    }
    if let Some(file) = &arguments.json {
        write(file, (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

fn write(file: &std::path::Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    fs::write(file, bytes)
        .map_err(|problem| format!("`{}` cannot be written ({problem})", file.display()).into())
}
