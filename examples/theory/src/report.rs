//! What was found, as files.

use crate::arguments::{Arguments, Subject};
use crate::plot::{Figure, PlotError};
use crate::{fig3, fig4, prop1, prop2};
use serde::Serialize;
use std::path::{Path, PathBuf};
use train::output::{Output, OutputError};
use train::paths::{self, Claim, PathError};

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Two outputs cannot both be written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The folder is not there and cannot be made.
    #[error("the folder `{}` cannot be made: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A figure cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A table cannot be written.
    #[error("a table cannot be written: {0}")]
    Csv(#[from] csv::Error),
    /// The JSON cannot be written.
    #[error("the JSON cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Everything that was found. What was not asked for is left out.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fig3: Option<Vec<fig3::Point>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fig4: Option<Vec<fig4::Point>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prop1: Option<Vec<prop1::Loop>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prop2: Option<Vec<prop2::Row>>,
    /// What the figure of Proposition 2 shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prop2_steps: Option<Vec<prop2::Step>>,
}

/// The pictures and tables of each subject.
pub const FIGURES: [(Subject, &str, &[&str]); 4] = [
    (Subject::Fig3, "fig3", &["fig3"]),
    (Subject::Fig4, "fig4", &["fig4"]),
    (Subject::Prop1, "prop1", &["prop1"]),
    (Subject::Prop2, "prop2", &["prop2", "prop2_steps"]),
];

/// Every file that the command line has written, and the folder.
pub fn claims(arguments: &Arguments) -> Vec<Claim> {
    let wanted = FIGURES.into_iter().filter(|(subject, ..)| arguments.subject.includes(*subject));
    let files = wanted.flat_map(|(_, name, tables)| {
        let tables = tables.iter().map(|table| format!("{table}.csv"));
        tables.chain(["png", "svg"].map(|extension| format!("{name}.{extension}")))
    });
    let files = files.map(|file| Claim::output("a file of --out", arguments.out.join(file)));
    let json = arguments.json.iter().map(|path| Claim::output("--json", path));
    [Claim::folder("--out", &arguments.out)].into_iter().chain(json).chain(files).collect()
}

/// Every file to write, looked at before there is anything to write.
pub struct Outputs {
    /// Of each subject that is wanted, as [`FIGURES`] has them.
    pub figures: [Option<Files>; FIGURES.len()],
    /// The results as JSON.
    pub json: Option<Output>,
}

impl Outputs {
    /// Looks at all that the command line has written, and makes the folder.
    pub fn open(arguments: &Arguments) -> Result<Self, ReportError> {
        paths::check(&claims(arguments))?;
        let mut figures = [const { None }; FIGURES.len()];
        for (figure, (subject, name, tables)) in figures.iter_mut().zip(FIGURES) {
            if arguments.subject.includes(subject) {
                *figure = Some(Files::open(&arguments.out, name, tables)?);
            }
        }
        // The last, since it may lie in the folder that was made.
        let json = arguments.json.as_deref().map(Output::open).transpose()?;
        Ok(Self { figures, json })
    }
}

/// The files of one figure, looked at before there is anything to write.
pub struct Files {
    png: (PathBuf, Output),
    svg: (PathBuf, Output),
    csv: Vec<(PathBuf, Output)>,
}

impl Files {
    /// Looks at picture files `name` and the tables `tables` in a folder, which is made.
    pub fn open(folder: &Path, name: &str, tables: &[&str]) -> Result<Self, ReportError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| ReportError::Folder { path: folder.to_owned(), source })?;
        let open = |name: &str, extension: &str| -> Result<_, ReportError> {
            let path = folder.join(format!("{name}.{extension}"));
            let output = Output::open(&path)?;
            Ok((path, output))
        };
        let csv = tables.iter().map(|name| open(name, "csv")).collect::<Result<_, _>>()?;
        Ok(Self { png: open(name, "png")?, svg: open(name, "svg")?, csv })
    }

    /// Writes all of them, and returns where.
    pub fn write(self, figure: &Figure, tables: &[Vec<u8>]) -> Result<Vec<PathBuf>, ReportError> {
        // All is drawn before anything is written.
        let (png, svg) = (figure.png()?, figure.svg()?);
        let pictures = [(self.png, &png[..]), (self.svg, svg.as_bytes())];
        let tables = self.csv.into_iter().zip(tables.iter().map(Vec::as_slice));
        let write = |((path, output), bytes): ((PathBuf, Output), &[u8])| {
            output.write(bytes)?;
            Ok(path)
        };
        pictures.into_iter().chain(tables).map(write).collect()
    }
}

/// Rows as CSV, with a header.
pub fn csv(rows: impl IntoIterator<Item = impl Serialize>) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    writer.into_inner().map_err(|problem| ReportError::Csv(problem.into_error().into()))
}

/// The points of the curves of Proposition 1, one a row.
pub fn prop1_rows(loops: &[prop1::Loop]) -> impl Iterator<Item = impl Serialize> {
    #[derive(Serialize)]
    struct Row {
        inner: &'static str,
        alpha: f64,
        loss: f64,
        alpha_star: f64,
        alpha_hat: f64,
        measured: f64,
    }
    loops.iter().flat_map(|found| {
        found.losses.iter().map(|point| Row {
            inner: found.inner,
            alpha: point.alpha,
            loss: point.loss,
            alpha_star: found.alpha_star,
            alpha_hat: found.alpha_hat,
            measured: found.measured,
        })
    })
}
