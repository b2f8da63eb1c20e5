//! The network's matrix products, timed against the kernel that one writes first: one thread for each element of the
//! result. Both over the same operands, in turn.

#[path = "../../../../xtask/src/peers/busy.rs"]
mod busy;
mod case;
mod naive;

use case::{Case, Works};
use clap::Parser;
use lookahead_wgpu::{gpu::Gpu, wgpu};
use std::{
    error::Error,
    io::Write,
    process::ExitCode,
    time::{Duration, Instant},
};
use train::kernels::Kernels;

/// What can end the benchmark.
type Failure = Box<dyn Error>;

/// Times the network's matrix products against a naive kernel.
///
/// For each layer that the program trains by default, and a square: the median times of both, taken in turn, the
/// operations a second of the network's kernel, and how often the naive kernel's time holds it: the median of pairs,
/// and the ends of their middle half.
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo bench -p train --bench products --",
    after_help = "Examples:\n  \
        cargo bench -p train --bench products\n  \
        cargo bench -p train --bench products -- --adapter lavapipe --seconds 10"
)]
struct Args {
    /// Only adapters whose name, driver or backend contains NAME, in any case
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    adapter: String,

    /// Seconds of samples for each product: more on a busy machine
    #[arg(long, value_name = "S", default_value_t = 2)]
    seconds: u64,

    // cargo gives it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Least time of a sample: a submission's own cost is spread over what it holds.
const SAMPLE: f64 = 0.02;
/// Least number of pairs.
const PAIRS: usize = 5;

const HEAD: &str = concat!(
    "                   rows x inner x columns  naive ms  shipped ms  GFLOP/s       ratio\n",
    "                                                                              (middle half)",
);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let mut gpus = pollster::block_on(Gpu::all())?;
    let wanted = args.adapter.to_lowercase();
    gpus.retain(|gpu| gpu.label().to_lowercase().contains(&wanted));
    if gpus.is_empty() {
        // Its error says which there are.
        gpus.push(Gpu::open_blocking(Some(&args.adapter))?);
    }
    if let Some(warning) = busy::share().and_then(|share| busy::warning("anything", share)) {
        writeln!(out, "BUSY: {warning}")?;
    }
    for gpu in gpus {
        writeln!(out, "\n{}\n{HEAD}", gpu.label())?;
        let kernels = pollster::block_on(Kernels::new(&gpu.device, None))?;
        for case in Case::all() {
            let works = case.works(&gpu, &kernels);
            let pairs = measure(&gpu, &works, Duration::from_secs(args.seconds))?;
            case.check(&gpu, &works)?;
            writeln!(out, "{}", line(&case, &pairs))?;
        }
    }
    Ok(())
}

/// Seconds of the naive kernel and of the shipped one, in turn.
fn measure(gpu: &Gpu, works: &Works, time: Duration) -> Result<Vec<[f64; 2]>, Failure> {
    let naive = |count| sample(gpu, count, |pass| works.naive.record(pass));
    let shipped = |count| sample(gpu, count, |pass| works.shipped.record(pass));
    // The first of each pays for what is done once.
    naive(1)?;
    shipped(1)?;
    let [many, more] = [naive(1)?, shipped(1)?].map(|unit| (SAMPLE / unit).ceil().clamp(1.0, 500.0) as u32);
    let (mut pairs, begin) = (Vec::new(), Instant::now());
    while pairs.len() < PAIRS || begin.elapsed() < time {
        pairs.push([naive(many)?, shipped(more)?]);
    }
    Ok(pairs)
}

/// Seconds of one product, of so many in a row.
fn sample(gpu: &Gpu, count: u32, record: impl Fn(&mut wgpu::ComputePass<'_>)) -> Result<f64, Failure> {
    let begin = Instant::now();
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for _ in 0..count {
        record(&mut pass);
    }
    drop(pass);
    gpu.queue.submit([encoder.finish()]);
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(begin.elapsed().as_secs_f64() / f64::from(count))
}

fn line(case: &Case, pairs: &[[f64; 2]]) -> String {
    let of = |value: fn(&[f64; 2]) -> f64, at: f64| {
        let mut sorted: Vec<_> = pairs.iter().map(value).collect();
        sorted.sort_by(f64::total_cmp);
        sorted[(at * (sorted.len() - 1) as f64).round() as usize]
    };
    let ([rows, inner, columns], shipped) = (case.size(), of(|pair| pair[1], 0.5));
    let ratio = |at| of(|pair| pair[0] / pair[1], at);
    format!(
        "{:<18} {rows:>5} x {inner:>4} x {columns:>4}     {:>9.3}  {:>10.3}  {:>7.2}  {:>5.1} ({:.1} to {:.1})",
        case.name(),
        1e3 * of(|pair| pair[0], 0.5),
        1e3 * shipped,
        1e-9 * case.operations() / shipped,
        ratio(0.5),
        ratio(0.25),
        ratio(0.75),
    )
}
