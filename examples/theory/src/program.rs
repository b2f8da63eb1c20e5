//! The program: from the command line to the figures.

use crate::arguments::Arguments;
use crate::plot::Figure;
use crate::report::{self, Files, Findings, Outputs, csv};
use crate::simulate::{SimulationError, Simulator};
use crate::{fig3, fig4, prop1, prop2};
use indicatif::{ProgressBar, ProgressStyle};
use lookahead_wgpu::gpu::Gpu;
use std::error::Error;
use std::io::{self, Write};

/// Computes what the command line asks for, and writes figures and tables.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Outputs { figures: [fig3_files, fig4_files, prop1_files, prop2_files], json } =
        Outputs::open(arguments)?;
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let simulator = Simulator::new(&gpu)?;
    let mut out = io::stdout();
    writeln!(out, "{}", gpu.label())?;
    let mut findings = Findings::default();
    let mut written = Vec::new();
    let mut show = |table: String, files: Files, figure: &Figure, tables: &[Vec<u8>]| {
        writeln!(out, "\n{table}")?;
        written.extend(files.write(figure, tables)?);
        Ok::<_, Box<dyn Error>>(())
    };

    if let Some(files) = fig4_files {
        let points = with_bar("Figure 4", fig4::work(), |done| fig4::compute(&simulator, done))?;
        show(fig4::table(&points), files, &fig4::figure(&points)?, &[csv(&points)?])?;
        findings.fig4 = Some(points);
    }
    if let Some(files) = prop1_files {
        let loops = with_bar("Proposition 1", prop1::work(), |done| prop1::compute(&gpu, done))?;
        show(prop1::table(&loops), files, &prop1::figure(&loops), &[csv(report::prop1_rows(&loops))?])?;
        findings.prop1 = Some(loops);
    }
    if let Some(files) = prop2_files {
        let compute = |done: &mut dyn FnMut()| prop2::compute(&simulator, arguments.seed, done);
        let outcome = with_bar("Proposition 2", prop2::work(), compute)?;
        let tables = [csv(&outcome.rows)?, csv(&outcome.steps)?];
        show(prop2::table(&outcome.rows), files, &prop2::figure(&outcome), &tables)?;
        findings.prop2 = Some(outcome.rows);
        findings.prop2_steps = Some(outcome.steps);
    }
    if let Some(files) = fig3_files {
        let compute = |done: &mut dyn FnMut()| fig3::compute(&simulator, arguments.seed, done);
        let points = with_bar("Figure 3", fig3::work(), compute)?;
        show(fig3::table(&points), files, &fig3::figure(&points), &[csv(&points)?])?;
        findings.fig3 = Some(points);
    }
    if let Some(file) = json {
        file.write(&serde_json::to_vec_pretty(&findings)?)?;
        written.extend(arguments.json.clone());
    }
    writeln!(out)?;
    for path in written {
        writeln!(out, "wrote {}", path.display())?;
    }
    Ok(())
}

/// Computes with a progress bar.
fn with_bar<T>(
    name: &'static str,
    work: u64,
    compute: impl FnOnce(&mut dyn FnMut()) -> Result<T, SimulationError>,
) -> Result<T, Box<dyn Error>> {
    let bar = ProgressBar::new(work).with_message(name);
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}  {eta} left")?);
    let outcome = compute(&mut || bar.inc(1));
    bar.finish_and_clear();
    Ok(outcome?)
}
