//! Times a step over ResNet-50's 161 tensors in Burn: `ModuleLookahead`, Burn's own Adam, and `Lookahead` around that in tensor
//! operations, in turn on one device.

mod contender;
mod measure;
mod report;
#[path = "../../../benches/step/resnet50.rs"]
mod resnet50;
#[path = "../../../benches/statistics.rs"]
mod statistics;
mod weights;

use std::{error::Error, process::ExitCode, time::Duration};

use burn::tensor::{Device, wgpu::WgpuBackend};
use clap::{Parser, ValueEnum};

use crate::{
    contender::{Contender, Method, Ours, Theirs},
    report::Report,
    weights::{Gradients, Weights},
};

/// Steps of a cycle.
const K: u32 = 5;
const ALPHA: f64 = 0.5;
const RATE: f64 = 1e-3;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tensors {
    /// ResNet-50: 25.6 million values
    Resnet50,
    /// A network an eighth as wide: 0.6 million values, for a look at whether everything runs
    Small,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Api {
    /// What Burn chooses
    Auto,
    Vulkan,
    Opengl,
}

/// Times a step over ResNet-50's tensors in Burn: ModuleLookahead, Burn's Adam, and Lookahead around it.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    cargo run --release --example step_time\n  \
    cargo run --release --example step_time -- --tensors small --seconds 0.2\n  \
    cargo run --release --example step_time --no-default-features --features wgpu   without fusion")]
struct Args {
    /// What is stepped: 161 tensors
    #[arg(long, value_enum, default_value_t = Tensors::Resnet50)]
    tensors: Tensors,
    /// The graphics API
    #[arg(long, value_enum, default_value_t = Api::Auto)]
    api: Api,
    /// Seconds of samples for each row
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "give a number of seconds, 10 say".to_owned())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<String, Box<dyn Error>> {
    let api = match args.api {
        Api::Auto => WgpuBackend::Auto,
        Api::Vulkan => WgpuBackend::Vulkan,
        Api::Opengl => WgpuBackend::Gl,
    };
    let (plain, setup) = Device::wgpu_options().graphics_api(api).init_with_setup()?;
    let device = plain.clone().autodiff();
    let width = match args.tensors {
        Tensors::Resnet50 => resnet50::WIDTH,
        Tensors::Small => resnet50::WIDTH / 8,
    };
    let shapes: Vec<_> = resnet50::tensors(width).into_iter().map(|(_, shape)| shape).collect();
    let gradients = Gradients::new(&shapes, &plain)?;
    let weights = || Weights::new(&shapes, &device);
    let mut contenders: Vec<Box<dyn Contender>> = vec![];
    for (method, keeps_clone) in
        [(Method::Adam, false), (Method::Lookahead, false), (Method::Lookahead, true)]
    {
        contenders.push(Box::new(Ours::new(weights()?, method, &setup, keeps_clone)?));
    }
    for method in [Method::Adam, Method::Lookahead] {
        contenders.push(Box::new(Theirs::new(weights()?, method)?));
    }
    let samples = measure::in_turn(&mut contenders, &gradients, &plain, args.seconds)?;
    let report = Report::new(&setup.adapter.get_info(), &shapes, &contenders, &samples);
    Ok(if args.json { serde_json::to_string_pretty(&report)? } else { report.markdown() })
}
