//! What an optimizer costs by parameters and by tensors.

#[path = "../../../xtask/src/peers/busy.rs"]
mod busy;
mod fit;
mod measure;
mod report;
mod start_up;

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use lookahead_wgpu::{gpu::Gpu, wgpu::DeviceType};

use measure::{Point, Size};
use report::Report;
use start_up::StartUp;

/// Times building, stepping, exporting and importing Lookahead(Adam) as the model grows
///
/// One tensor of 1,000 parameters and more, and 1 to 10,000 tensors of 256: a table, the line that fits (what is fixed, what a
/// parameter and what a tensor adds), and a plot of each, in FOLDER with growth.json. Take it with nothing else running.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    cargo run --release -p growth\n  \
    cargo run --release -p growth -- --adapter nvidia --largest 1000000000\n  \
    cargo run --release -p growth -- --largest 1000000 --out /tmp/growth")]
struct Arguments {
    /// The first adapter whose name, driver or backend contains NAME, in any case
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,

    /// Parameters of the largest tensor [default: 100000000, on a CPU 10000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..=1 << 36))]
    largest: Option<u64>,

    /// Where the plots and growth.json go
    #[arg(long, value_name = "FOLDER", default_value = "growth")]
    out: PathBuf,
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
    let is_cpu = gpu.info.device_type == DeviceType::Cpu;
    let largest = arguments.largest.unwrap_or(if is_cpu { 10_000_000 } else { 100_000_000 });

    if let Some(warning) = busy::share().and_then(|share| busy::warning("anything", share)) {
        eprintln!("BUSY: {warning}");
    }
    let start_up = StartUp::measure(&gpu)?;
    let sizes = Size::all(largest);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")?;
    let bar = ProgressBar::new(sizes.len() as u64).with_style(style);
    let mut points = Vec::new();
    for size in sizes {
        bar.set_message(size.to_string());
        points.push(Point::measure(&gpu, size)?);
        bar.inc(1);
    }
    bar.finish_and_clear();

    let report = Report::new(gpu.label(), start_up, points);
    print!("{}", report.text());
    for figure in report.figures() {
        write(&out.join(format!("{}.png", figure.name)), &figure.png()?)?;
    }
    write(&out.join("growth.json"), (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
    println!("\nThe plots and growth.json: {}", out.display());
    Ok(())
}

fn write(file: &std::path::Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    fs::write(file, bytes)
        .map_err(|problem| format!("`{}` cannot be written ({problem})", file.display()).into())
}
