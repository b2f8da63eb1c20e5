//! Prints what an optimizer would be, without a device: buffers, kernels, memory, and the dispatches of its first steps:
//! `cargo run --example show_plan -- --help`.

use std::{error::Error, process::ExitCode};

use clap::Parser;
use lookahead_wgpu::{Limits, Lookahead, Optimizer, Options, rules};

/// Prints the plan of an optimizer on a device with WebGPU's default limits.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  show_plan adam --lookahead '{}' weight=784x128 bias=128
  show_plan sgd --lookahead '{\"k\": 10, \"alpha\": 0.8}' --options '{\"clip\": {\"global_norm\": 1.0}}' w=1000x1000
  show_plan adafactor --storage-buffers 4 w=4096x1024        refused: says what is needed")]
struct Arguments {
    /// The rule
    #[arg(default_value = "adam")]
    rule: String,

    /// The tensors, as NAME=AxBxC
    #[arg(value_name = "NAME=SHAPE", default_values = ["weight=784x128", "bias=128"])]
    tensors: Vec<String>,

    /// Lookahead around the rule, with these settings as JSON; `{}`: k = 5, alpha = 0.5
    #[arg(long, value_name = "JSON")]
    lookahead: Option<String>,

    /// Options, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    options: String,

    /// Steps whose dispatches are shown
    #[arg(long, default_value_t = 6)]
    steps: u32,

    /// Storage buffers that the device offers a shader stage
    #[arg(long, default_value_t = 8)]
    storage_buffers: u32,
}

fn main() -> ExitCode {
    match show(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn show(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let name = &arguments.rule;
    let kind = rules::kind(name).ok_or_else(|| {
        let names: Vec<_> = rules::kinds().map(|kind| kind.name).collect();
        format!("there is no rule `{name}`; there are: {}", names.join(", "))
    })?;
    let mut builder = Optimizer::builder(kind.rule(kind.learning_rate))
        .options(serde_json::from_str::<Options>(&arguments.options)?);
    if let Some(lookahead) = &arguments.lookahead {
        builder = builder.lookahead(serde_json::from_str::<Lookahead>(lookahead)?);
    }
    for tensor in &arguments.tensors {
        let (name, shape) = parse(tensor)?;
        builder = builder.tensor(name, &shape);
    }
    let mut limits = Limits::default();
    limits.max_storage_buffers_per_shader_stage = arguments.storage_buffers;
    let mut plan = builder.plan(&limits)?;
    println!("{plan}");
    for step in 1..=arguments.steps {
        println!("step {step}");
        for dispatch in plan.step()? {
            let (x, y) = dispatch.workgroups;
            println!(
                "  {:44} {:12} flags {:<3} {x} x {y} workgroups",
                dispatch.kernel, dispatch.entry, dispatch.flags
            );
        }
    }
    Ok(())
}

/// A tensor's name and shape.
fn parse(text: &str) -> Result<(&str, Vec<usize>), String> {
    let wrong = || format!("`{text}` is no tensor; write NAME=AxB, as weight=784x128");
    let (name, shape) = text.split_once('=').ok_or_else(wrong)?;
    let sizes: Result<Vec<usize>, _> = shape.split('x').map(str::parse).collect();
    Ok((name, sizes.map_err(|_| wrong())?))
}
