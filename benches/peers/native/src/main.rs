//! Times the steps of several optimizers on one adapter, over the same tensors: this library's, WGSL written by hand, and
//! Burn's. Prints JSON on standard output, and what it is at on standard error.
//!
//! Burn with fusion is another build of this program (`--features fusion`); the one that measures is told where it is, and
//! starts it. Burn without fusion runs in a process of its own, too, so that both are treated alike.

mod burn_device;
mod burn_lookahead;
mod burn_peer;
mod by_hand;
mod check;
mod contender;
mod measure;
mod ours;
mod peer;
mod remote;
mod report;
#[path = "../../../step/resnet50.rs"]
mod resnet50;
mod serve;
#[path = "../../../statistics.rs"]
mod statistics;
mod tensors;

use std::{
    io::{Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use lookahead_wgpu::gpu::Gpu;

use contender::{Contender, Local};
use peer::{Failure, Method};
use remote::Remote;
use report::{Entry, Report};
use tensors::List;

/// Times the steps of this library, of WGSL written by hand and of Burn, in turn, on one adapter.
///
/// Before that, each takes some steps over small tensors, and must come to this library's weights.
#[derive(Debug, Parser)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  \
        peers --fused target/peers/burn-fusion\n  \
        peers --adapter llvmpipe --tensors small --seconds 0.2"
)]
pub struct Args {
    /// The adapter whose name, driver or backend contains NAME, in any case [default: the one that wgpu ranks highest]
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,

    /// What is stepped: the 161 tensors of ResNet-50, or few and small ones
    #[arg(long, value_enum, default_value_t = List::Resnet50)]
    tensors: List,

    /// Seconds of samples for each optimizer
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    seconds: Duration,

    /// This program built with the feature `fusion`; left out: Burn without fusion only
    #[arg(long, value_name = "PROGRAM")]
    fused: Option<PathBuf>,

    /// Steps Burn's optimizer as the program that has started this one asks
    #[arg(long, value_enum, value_name = "METHOD", hide = true)]
    serve: Option<Method>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.serve {
        Some(method) => serve::run(args.adapter.as_deref(), args.tensors, method),
        None => run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Where stderr is closed, the exit status still tells.
            let _ = writeln!(stderr(), "error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let gpu = Gpu::open_blocking(args.adapter.as_deref())?;
    eprintln!("{}", gpu.label());
    let mut entries = entries(&gpu, args)?;
    let tensors = args.tensors.tensors();
    report::check(&mut entries)?;
    let mut contenders: Vec<&mut dyn Contender> =
        entries.iter_mut().map(|entry| entry.contender.as_mut() as &mut dyn Contender).collect();
    let samples = measure::in_turn(&mut contenders, args.seconds)?;
    let report = Report::new(&gpu, args.tensors, &tensors, &entries, &samples);
    let text = serde_json::to_string_pretty(&report)? + "\n";
    stdout()
        .write_all(text.as_bytes())
        .map_err(|problem| format!("the report cannot be printed ({problem})"))?;
    Ok(())
}

/// All that is timed, this library first among those of each method.
fn entries(gpu: &Gpu, args: &Args) -> Result<Vec<Entry>, Failure> {
    let this = std::env::current_exe()?;
    let mut entries = vec![];
    for method in Method::ALL {
        let mut add =
            |peer: &str, contender| entries.push(Entry { peer: peer.to_owned(), method, contender });
        let (list, for_ours, for_hand) = (args.tensors, gpu.clone(), gpu.clone());
        add(report::OURS, Box::new(Local::new(list, move |tensors| ours::make(&for_ours, tensors, method))));
        add(
            "WGSL by hand, a dispatch a tensor",
            Box::new(Local::new(list, move |tensors| by_hand::make(&for_hand, tensors, method))),
        );
        let burn = |program| Remote::start(program, &gpu.label(), list, method).map(Box::new);
        if let Some(fused) = &args.fused {
            add("Burn 0.22.1, with fusion", burn(fused)?);
        }
        add("Burn 0.22.1, without fusion", burn(&this)?);
    }
    Ok(entries)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "give a number of seconds, 10 say".to_owned())
}
