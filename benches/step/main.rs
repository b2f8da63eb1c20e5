//! What a step costs: its time against the bytes that it must move, what Lookahead adds to a rule, what
//! many tensors add to one, and what recording a step takes of the host.

#[path = "../../xtask/src/peers/busy.rs"]
mod busy;
mod floor;
mod host;
mod measure;
mod report;
mod resnet50;
#[path = "../statistics.rs"]
mod statistics;
mod tables;
mod workload;

use std::{
    error::Error,
    fs::File,
    io::{Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use lookahead_wgpu::gpu::Gpu;

use measure::Effort;
use report::{Adapter, Report};

/// What can end the benchmark.
pub type Failure = Box<dyn Error>;

/// Times the optimizer's steps on every adapter present.
///
/// For each adapter: the time of a step of every rule, alone and with Lookahead; the ratio of the
/// two; 161 tensors against one of the same size; and the host's time to record a step. On a CPU,
/// the tables of rules are of few parameters in the interest of time, but for Adam's ratio.
#[derive(Debug, Parser)]
#[command(
    verbatim_doc_comment,
    bin_name = "cargo bench --",
    after_help = "Examples:\n  \
        cargo bench\n  \
        cargo bench -- --quick\n  \
        cargo bench -- --adapter nvidia --parameters 100000000\n  \
        cargo bench -- --adapter llvmpipe --seconds 20\n  \
        cargo bench -- --only guard\n  \
        cargo bench -- --json bench.json"
)]
struct Args {
    /// Only adapters whose name, driver or backend contains NAME, in any case
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,

    /// Parameters in the tables of rules [default: 16777216, on a CPU 2097152]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    parameters: Option<u32>,

    /// Seconds of samples for each row: more on a busy machine [default: 1]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,

    /// Only rows whose name contains NAME: `adam`, `guard`, `recording`, ...
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    only: String,

    /// Small sizes and few repeats: whether everything runs, not how fast
    #[arg(long)]
    quick: bool,

    /// Write every figure to FILE too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    // cargo gives it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn effort(&self) -> Effort {
        let effort = if self.quick { Effort::QUICK } else { Effort::FULL };
        Effort { pair: self.seconds.unwrap_or(effort.pair), ..effort }
    }

    fn sizes(&self, gpu: &Gpu) -> Sizes {
        let on_cpu = gpu.info.device_type == lookahead_wgpu::wgpu::DeviceType::Cpu;
        let (rules, adam_ratio) = match (self.parameters, self.quick, on_cpu) {
            (Some(parameters), ..) => (parameters as usize, parameters as usize),
            (None, true, _) => (1 << 16, 1 << 16),
            (None, false, true) => (1 << 21, 1 << 24),
            (None, false, false) => (1 << 24, 1 << 24),
        };
        let width = if self.quick { resnet50::WIDTH / 8 } else { resnet50::WIDTH };
        Sizes { rules, adam_ratio, width }
    }
}

/// How much is stepped.
pub struct Sizes {
    /// Parameters in the tables of rules.
    pub rules: usize,
    /// Parameters in Adam's ratio.
    pub adam_ratio: usize,
    /// Of the residual network.
    pub width: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Where stderr is closed, the exit status still tells.
            let _ = writeln!(stderr(), "error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let gpus = gpus(args.adapter.as_deref())?;
    // That the file cannot be written shows now, not after minutes of work.
    let json = args.json.as_deref().map(|path| create(path).map(|file| (path, file))).transpose()?;
    let effort = args.effort();

    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")?;
    let rows = tables::Rows { only: &args.only };
    let bar = ProgressBar::new((gpus.len() * rows.count()) as u64).with_style(style);
    print(&bar, &report::preface(&effort))?;
    let warnings = busy::share().and_then(|share| busy::warning("anything", share)).into_iter().collect();
    let mut report =
        Report { version: env!("CARGO_PKG_VERSION"), k: workload::K, adapters: vec![], warnings };
    for gpu in &gpus {
        let adapter = Adapter::measure(gpu, &rows, &args.sizes(gpu), &effort, &bar)?;
        print(&bar, &adapter.text())?;
        report.adapters.push(adapter);
    }
    bar.finish_and_clear();
    report.doubt_wide_rows();
    report.warnings.iter().try_for_each(|warning| print(&bar, &format!("\nBUSY: {warning}\n")))?;
    if let Some((path, mut file)) = json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        file.write_all(text.as_bytes()).map_err(|problem| unwritable(path, &problem))?;
    }
    Ok(())
}

/// The adapters to measure, at least one.
fn gpus(name: Option<&str>) -> Result<Vec<Gpu>, Failure> {
    let mut gpus = pollster::block_on(Gpu::all())?;
    let wanted = name.unwrap_or_default().to_lowercase();
    gpus.retain(|gpu| gpu.label().to_lowercase().contains(&wanted));
    if gpus.is_empty() {
        // Its error says which there are.
        gpus.push(Gpu::open_blocking(name)?);
    }
    Ok(gpus)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "give a number of seconds, 10 say".to_owned())
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|problem| unwritable(path, &problem))
}

fn unwritable(path: &Path, problem: &std::io::Error) -> Failure {
    format!("`{}` cannot be written ({problem}); give a file in a folder that exists", path.display()).into()
}

fn print(bar: &ProgressBar, text: &str) -> Result<(), Failure> {
    bar.suspend(|| stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()))
        .map_err(|problem| format!("the tables cannot be printed ({problem})").into())
}
