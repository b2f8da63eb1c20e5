//! What can be wrong with figures, tables and their files.

/// What can be wrong with figures, tables and their files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// There are no records.
    #[error("no runs for {0}")]
    NoRuns(String),
    /// Every value is missing or not finite.
    #[error("the runs for {what} have no finite {quantity}")]
    NothingFinite {
        /// What is drawn.
        what: String,
        /// What was looked for.
        quantity: String,
    },
    /// A figure has one or two panels.
    #[error("{0} panels are asked for; a figure has one or two")]
    Panels(usize),
    /// Nobody looked into the inner loop of this run.
    #[error("the run of {0} was not looked into: it has no probe")]
    NoProbe(String),
    /// The setting along an axis is one that the run does not have.
    #[error("the run of {method} has no {setting}")]
    NoSetting {
        /// The method with its settings.
        method: String,
        /// What it lacks.
        setting: String,
    },
    /// Two methods share a cell of a grid.
    #[error("`{first}` and `{second}` would be in the same cell")]
    SameCell {
        /// A method with its settings.
        first: String,
        /// Another.
        second: String,
    },
    /// Rows of a plane's scores do not fit its coordinates.
    #[error(
        "the plane has {rows} rows by {columns} columns, and other scores than that, or fewer than 2 by 2"
    )]
    PlaneSize {
        /// Coordinates of rows.
        rows: usize,
        /// Coordinates of columns.
        columns: usize,
    },
    /// The drawing library failed.
    #[error("the figure could not be drawn: {0}")]
    Draw(String),
    /// A picture could not be encoded.
    #[error("the figure could not be encoded: {0}")]
    Encode(#[from] image::ImageError),
    /// A table could not be made.
    #[error("the table could not be made: {0}")]
    Csv(#[from] csv::Error),
    /// Records could not be encoded.
    #[error("the records could not be encoded: {0}")]
    Json(#[from] serde_json::Error),
    /// A file could not be written.
    #[error("`{file}` could not be written: {problem}")]
    Write {
        /// The file.
        file: String,
        /// What the system said.
        problem: std::io::Error,
    },
}
