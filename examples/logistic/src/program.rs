//! The program: from the command line to the figure.

use crate::{
    arguments::Arguments,
    data::Data,
    method::Method,
    minimum::minimum,
    report,
    run::{self, Settings},
};
use lookahead_wgpu::gpu::Gpu;
use std::error::Error;
use std::io::{self, Write};
use theory::report::{Files, csv};
use train::output::Output;
use train::paths::{self, Claim};

/// Every file that the command line has written, and the folder.
pub fn claims(arguments: &Arguments) -> Vec<Claim> {
    let files = ["csv", "png", "svg"].map(|extension| format!("{}.{extension}", report::NAME));
    let files = files.map(|file| Claim::output("a file of --out", arguments.out.join(file)));
    let json = arguments.json.iter().map(|path| Claim::output("--json", path));
    [Claim::folder("--out", &arguments.out)].into_iter().chain(json).chain(files).collect()
}

/// Runs every method, and writes figure and table.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    paths::check(&claims(arguments))?;
    let files = Files::open(&arguments.out, report::NAME, &[report::NAME])?;
    // Behind the folder, in which it may lie.
    let json = arguments.json.as_deref().map(Output::open).transpose()?;
    let &Arguments { passes, batch, rate, lambda, seed, .. } = arguments;
    let settings = Settings { passes, batch, rate, lambda, seed };
    let data = Data::read()?;
    let minimum = minimum(&data, lambda);
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let mut out = io::stdout();
    writeln!(out, "{}\n", gpu.label())?;
    let mut points = Vec::new();
    for method in Method::ALL {
        points.extend(run::run(&gpu, &data, &minimum, &settings, method)?);
    }
    writeln!(out, "{}\n", report::table(&points, &settings))?;
    let mut written = files.write(&report::figure(&points, &settings), &[csv(&points)?])?;
    if let Some(file) = json {
        file.write(&serde_json::to_vec_pretty(&points)?)?;
        written.extend(arguments.json.clone());
    }
    for path in written {
        writeln!(out, "wrote {}", path.display())?;
    }
    Ok(())
}
