//! Prints any kernel, whole as the device gets it: `cargo run --example show_kernel -- --help`.

mod options;

use std::{io::Write, process::ExitCode};

use clap::Parser;
use lookahead_wgpu::{
    Guard, Shape,
    kernels::{self, Access, Decision, Measure, Recipe, Source, Tensors, Width},
    rules,
};
use options::{Arguments, Home, Which};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        rules::kinds().for_each(|kind| println!("{:26} {}", kind.name, kind.title));
        return ExitCode::SUCCESS;
    }
    let sources = match sources(&arguments) {
        Ok(sources) => sources,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let text: Vec<_> = sources.into_iter().map(|source| source.wgsl).collect();
    // Whoever reads may have had enough.
    let _ = std::io::stdout().write_all(text.join("\n").as_bytes());
    ExitCode::SUCCESS
}

/// The kernels that are asked for, with a line about each where they are several.
fn sources(arguments: &Arguments) -> Result<Vec<Source>, String> {
    let name = &arguments.rule;
    let kind = rules::kind(name).ok_or_else(|| {
        let names: Vec<_> = rules::kinds().map(|kind| kind.name).collect();
        format!("there is no rule `{name}`; there are: {}", names.join(", "))
    })?;
    let rule = kind.rule(kind.learning_rate);
    let (lookahead, options) = (arguments.lookahead(), arguments.options()?);
    let recipe = Recipe {
        rule: rule.as_ref(),
        lookahead: lookahead.as_ref(),
        options: &options,
        access: access(arguments),
        shape: if arguments.cpu { Shape::CPU } else { Shape::GPU },
        tensors: Tensors { long_rows: arguments.long_rows, even_moments: arguments.even_moments },
    };
    let found = of(&recipe, arguments.kernel);
    if found.is_empty() {
        let names: Vec<_> = Which::EACH
            .into_iter()
            .filter(|which| !of(&recipe, *which).is_empty())
            .map(Which::name)
            .collect();
        return Err(format!(
            "with these options there is no kernel `{}`; there are: {}",
            arguments.kernel.name(),
            names.join(", ")
        ));
    }
    Ok(found)
}

/// The kernels that a group of these settings has of a kind.
fn of(recipe: &Recipe<'_>, which: Which) -> Vec<Source> {
    let (options, lookahead) = (recipe.options, recipe.lookahead);
    let measured = |measure: Measure| recipe.measures().contains(&measure).then_some(measure);
    let is_factored = recipe.rule.factored(1).is_some();
    let one: Option<Source> = match which {
        Which::All => return recipe.sources().into_iter().map(titled).collect(),
        Which::Step => Some(recipe.step()),
        Which::SwapSlow => lookahead.filter(|_| !options.slow_bf16).map(|_| recipe.swap_slow()),
        Which::SwapAverage => options.average.map(|_| recipe.swap_average()),
        Which::PartialRows => measured(Measure::Rows).map(|measure| recipe.partial(measure)),
        Which::PartialNorm => measured(Measure::Norm).map(|measure| recipe.partial(measure)),
        Which::PartialTrust => measured(Measure::Trust).map(|measure| recipe.partial(measure)),
        Which::PartialScale => measured(Measure::Scale).map(|measure| recipe.partial(measure)),
        Which::PartialTried => measured(Measure::Tried).map(|measure| recipe.partial(measure)),
        Which::PartialAlpha => measured(Measure::Alpha).map(|measure| recipe.partial(measure)),
        Which::PartialResiduals => measured(Measure::Residuals).map(|measure| recipe.partial(measure)),
        Which::FinishRows => measured(Measure::Rows).map(|measure| recipe.finish(measure)),
        Which::FinishNorm => measured(Measure::Norm).map(|measure| recipe.finish(measure)),
        Which::FinishTrust => measured(Measure::Trust).map(|measure| recipe.finish(measure)),
        Which::FinishScale => measured(Measure::Scale).map(|measure| recipe.finish(measure)),
        Which::FinishTried => measured(Measure::Tried).map(|measure| recipe.finish(measure)),
        Which::FinishAlpha => measured(Measure::Alpha).map(|measure| recipe.finish(measure)),
        Which::FinishResiduals => measured(Measure::Residuals).map(|measure| recipe.finish(measure)),
        Which::MomentSums => is_factored.then(|| recipe.sums()),
        Which::MomentFold => is_factored.then(|| kernels::moments(recipe.shape)[0].clone()),
        Which::MomentMeans => is_factored.then(|| kernels::moments(recipe.shape)[1].clone()),
        Which::MomentRoots => is_factored.then(|| kernels::moments(recipe.shape)[2].clone()),
        Which::MomentSync => lookahead.filter(|_| is_factored).and_then(kernels::sync_moments),
        Which::Guard => options.guard.map(|guard| match guard.checks_updates {
            true => recipe.decide(Decision::Tried),
            false => recipe.decide(Decision::AtOnce),
        }),
        Which::GuardPreview => {
            // For updates that are tried, and for what is measured of transformed gradients.
            let previews = |guard: &Guard| guard.checks_updates || !options.transforms.is_empty();
            options.guard.filter(previews).map(|_| recipe.decide(Decision::Preview))
        }
    };
    one.into_iter().collect()
}

fn titled(source: Source) -> Source {
    let rule = "=".repeat(100);
    let wgsl = format!("// {rule}\n// {}: {}\n// {rule}\n{}", source.name, source.entry, source.wgsl);
    Source { wgsl, ..source }
}

/// Where weights and gradients lie.
fn access(arguments: &Arguments) -> Access {
    let width = if arguments.by_value { Width::Value } else { Width::Vec4 };
    match arguments.access {
        Home::Owned => Access::Owned,
        Home::Borrowed => Access::Borrowed(width),
        Home::Pooled => Access::Pooled(width),
        Home::Far => Access::Far(width),
        Home::Several => Access::Several(width),
    }
}
