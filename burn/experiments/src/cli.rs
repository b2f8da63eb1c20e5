//! The command line.

mod arguments;
mod output;
mod show;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use experiments::presets::{self, Preset};
use experiments::run::record::Run;
use experiments::runner::Runner;
use experiments::store::Store;
use experiments::studies::{Size, Study};
use experiments::train::report::Event;
use experiments::train::{Place, Settings};

use arguments::{Arguments, Command, Machine, Train};
use show::{Bar, Bars};

/// Runs what the command line says.
pub fn run() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::List { json } => list(json),
        Command::Train(arguments) => train(arguments),
        Command::Study { names, full, seeds, jobs, machine } => {
            let size = if full { Size::Full } else { Size::Reduced };
            let mut studies = match names.iter().any(|name| name == "all") {
                true => Study::ALL.to_vec(),
                false => names.iter().map(|name| study(name)).collect::<Result<_, _>>()?,
            };
            // A figure and its table are one.
            let mut seen = vec![];
            studies.retain(|study| {
                !seen.contains(study) && {
                    seen.push(*study);
                    true
                }
            });
            study_all(&studies, size, seeds, jobs, &machine)
        }
    }
}

fn list(json: bool) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    if json {
        let presets =
            presets::ALL.map(|it| serde_json::json!({ "name": it.name, "about": it.about, "data": it.data }));
        let studies = Study::ALL.map(|it| {
            serde_json::json!({
                "names": it.names(),
                "title": it.title(),
                "full": it.presets(Size::Full),
                "reduced": it.presets(Size::Reduced),
                "reduced_runs": it.runs(Size::Reduced, 3).len(),
            })
        });
        writeln!(out, "{}", serde_json::json!({ "presets": presets, "studies": studies }))?;
        return Ok(());
    }
    writeln!(out, "Presets, for `train`:")?;
    for preset in presets::ALL {
        writeln!(out, "  {:<25} {}\n  {:<25} --data: {}", preset.name, preset.about, "", preset.data)?;
    }
    writeln!(
        out,
        "\nFigures and tables, for `study`, with their presets (full; reduced, with runs at 3 seeds):"
    )?;
    for study in Study::ALL {
        let (full, reduced) = (study.presets(Size::Full), study.presets(Size::Reduced));
        let runs = study.runs(Size::Reduced, 3).len();
        writeln!(out, "  {:<25} {}", study.names().join(", "), study.title())?;
        writeln!(out, "  {:<25} {}; {} ({runs} runs)", "", full.join(", "), reduced.join(", "))?;
    }
    Ok(())
}

fn study(name: &str) -> Result<Study, String> {
    Study::find(name).ok_or_else(|| {
        let all: Vec<_> = Study::ALL.into_iter().flat_map(Study::names).copied().collect();
        format!("there is no figure or table `{name}`: {} and all are there", all.join(", "))
    })
}

fn preset(name: &str) -> Result<Preset, String> {
    Preset::find(name).ok_or_else(|| {
        format!(
            "there is no preset `{name}`: {} are there",
            presets::ALL.map(|preset| preset.name).join(", ")
        )
    })
}

fn train(arguments: Train) -> Result<(), Box<dyn Error>> {
    let run = arguments.run()?;
    let preset = preset(&run.preset)?;
    let store = Store::open(&arguments.machine.out.join("runs"))?;
    let record = match store.load(&run)? {
        Some(record) => record,
        None => {
            let settings = Settings {
                run: run.clone(),
                checkpoint: Some(store.checkpoint(&run)),
                every: Duration::from_secs_f64(arguments.every),
            };
            let record = observed(preset, &run, settings, &arguments)?;
            store.save(&record)?;
            record
        }
    };
    let path = store.record(&run);
    if arguments.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&record)?)?;
    } else {
        writeln!(io::stdout(), "{}", show::summary(preset, &record, &path))?;
    }
    Ok(())
}

fn observed(
    preset: Preset,
    run: &Run,
    settings: Settings,
    arguments: &Train,
) -> Result<experiments::run::record::Record, Box<dyn Error>> {
    let place = match arguments.machine.device {
        arguments::Device::Cpu => Place::cpu(arguments.machine.adapter.as_deref())?,
        arguments::Device::Wgpu => Place::wgpu()?,
    };
    let data = arguments.machine.data.as_deref().map(Path::new);
    if arguments.json {
        let mut tell = |event: Event| {
            let line = serde_json::to_string(&event).unwrap_or_default();
            // Who listened is gone: what is done is in the checkpoint.
            if writeln!(io::stdout(), "{line}").is_err() {
                std::process::exit(1);
            }
        };
        return Ok(preset.train(data, settings, place, &mut tell)?);
    }
    let mut bar = Bar::new(preset, run);
    Ok(preset.train(data, settings, place, &mut |event| bar.tell(event))?)
}

fn study_all(
    studies: &[Study],
    size: Size,
    seeds: u64,
    jobs: usize,
    machine: &Machine,
) -> Result<(), Box<dyn Error>> {
    let store = Store::open(&machine.out.join("runs"))?;
    let runner = Runner { program: std::env::current_exe()?, arguments: machine.arguments(), jobs };
    for &study in studies {
        let runs = study.runs(size, seeds);
        let mut bars = Bars::new(study, jobs);
        let records = runner.run(&runs, &store, &mut |standing| bars.tell(standing))?;
        bars.end();
        output::write(study, &records, &machine.out)?;
    }
    Ok(())
}
