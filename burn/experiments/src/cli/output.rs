//! A study's files: figures, tables, and the numbers behind them.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use experiments::draw::files;
use experiments::draw::grid::{self, Setting};
use experiments::draw::inner_loop;
use experiments::draw::plane;
use experiments::draw::table::{self, Column};
use experiments::draw::{Group, Measure, Quantity, by_method, curves};
use experiments::run::record::Record;
use experiments::studies::Study;

/// Columns of a terminal.
const WIDTH: usize = 100;

/// Writes a study's files into a folder, and prints its tables. A study of several presets has files of each.
pub fn write(study: Study, records: &[Record], out: &Path) -> Result<(), Box<dyn Error>> {
    let mut presets: Vec<&str> = records.iter().map(|record| &*record.run.preset).collect();
    presets.dedup();
    for preset in &presets {
        let of_preset = |record: &&Record| record.run.preset == *preset;
        let records: Vec<Record> = records.iter().filter(of_preset).cloned().collect();
        let suffix = if presets.len() > 1 { format!("-{preset}") } else { String::new() };
        for name in study.names() {
            let stem = out.join(format!("{name}{suffix}"));
            match name.starts_with("table") {
                true => tables(study, &records, &stem)?,
                false => figure(study, name, &records, &stem)?,
            }
            writeln!(io::stdout(), "{}", stem.display())?;
        }
    }
    Ok(())
}

fn figure(study: Study, name: &str, records: &[Record], stem: &Path) -> Result<(), Box<dyn Error>> {
    let accuracy = || Measure::new(Quantity::ValidScore, "validation accuracy (%)");
    let train = || Measure::new(Quantity::TrainLoss, "training loss");
    let valid = || Measure::new(Quantity::ValidLoss, "validation loss");
    let pictures = match study {
        Study::Images | Study::Adaptive => {
            vec![("", curves::draw(&by_method(records), &[accuracy(), train().log()])?)]
        }
        Study::Schedule => vec![("", curves::draw(&by_method(records), &[accuracy(), valid()])?)],
        Study::Language => {
            let perplexity = Measure::new(Quantity::ValidPerplexity, "validation perplexity").log();
            vec![("", curves::draw(&by_method(records), &[perplexity, train()])?)]
        }
        Study::Translation | Study::Rates => {
            vec![("", curves::draw(&by_method(records), &[valid(), train()])?)]
        }
        Study::Momentum => vec![
            ("-loss", grid::draw(records, Setting::Rate, Setting::Momentum, &train().log())?),
            ("-accuracy", grid::draw(records, Setting::Rate, Setting::Momentum, &accuracy())?),
        ],
        Study::Cycle => vec![
            ("-loss", grid::draw(records, Setting::K, Setting::Alpha, &train().log())?),
            ("-accuracy", grid::draw(records, Setting::K, Setting::Alpha, &accuracy())?),
        ],
        Study::Inner => {
            let Some(record) = records.first() else { return Ok(()) };
            vec![(
                "",
                match name {
                    "figure-1" => plane::draw(record, &accuracy())?,
                    _ => inner_loop::draw(record, &[accuracy(), valid()])?,
                },
            )]
        }
    };
    for (suffix, picture) in pictures {
        files::figure(&named(stem, suffix), &picture)?;
    }
    files::save(&named(stem, ".json"), files::json(records)?.as_bytes())?;
    files::save(&named(stem, ".csv"), files::points(records)?.as_bytes())?;
    match name {
        "figure-1" => files::save(&named(stem, "-plane.csv"), files::planes(records)?.as_bytes())?,
        "figure-10" => files::save(&named(stem, "-steps.csv"), files::steps(records)?.as_bytes())?,
        _ => {}
    }
    Ok(())
}

fn tables(study: Study, records: &[Record], stem: &Path) -> Result<(), Box<dyn Error>> {
    let columns = match study {
        Study::Language => [Column::TestPerplexity, Column::BestPerplexity],
        Study::Translation => [Column::TestBleu, Column::TestLoss],
        _ => [Column::TestAccuracy, Column::TestLoss],
    };
    let groups = by_method(records);
    let rows = table::rows(&groups)?;
    writeln!(io::stdout(), "{}", table::text(&rows, &columns, WIDTH))?;
    if study == Study::Schedule {
        reached(&groups)?;
    }
    files::save(&named(stem, ".md"), table::markdown(&rows, &columns).as_bytes())?;
    files::save(&named(stem, ".json"), &serde_json::to_vec_pretty(&rows)?)?;
    files::save(&named(stem, ".csv"), files::tests(records)?.as_bytes())?;
    Ok(())
}

/// Prints how soon the best that all methods come to is reached by each.
fn reached(groups: &[Group<'_>]) -> Result<(), Box<dyn Error>> {
    let best = |group: &Group<'_>| {
        let means = group.by_epoch(Quantity::ValidScore).into_iter().map(|(_, spread)| spread.mean);
        means.fold(f64::NEG_INFINITY, f64::max)
    };
    let level = groups.iter().map(best).fold(f64::INFINITY, f64::min);
    let mut out = io::stdout().lock();
    writeln!(out, "Epochs to a mean validation score of {level:.2}:")?;
    for reach in table::epochs_to_reach(groups, Quantity::ValidScore, level)? {
        writeln!(out, "  {reach}")?;
    }
    Ok(writeln!(out)?)
}

/// A path with more at its end.
fn named(stem: &Path, more: &str) -> std::path::PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(more);
    name.into()
}
