//! Chromium, in which the tests for browsers run.

use std::env;
use std::path::PathBuf;

use crate::apt::{self, InstallError, Installer};
use crate::output;

/// What it is called, by system.
const PROGRAMS: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];

#[derive(Debug, thiserror::Error)]
#[error("Chromium is missing: {0}; if there is one elsewhere, name its program in the variable CHROMIUM")]
pub struct Missing(#[from] InstallError);

/// The path of its program; it is installed where it is missing and that is allowed.
pub fn provide(install: bool) -> Result<String, Missing> {
    let there =
        || env::var_os("CHROMIUM").map(PathBuf::from).or_else(|| PROGRAMS.into_iter().find_map(apt::find));
    let program = Installer::here().provide(there, &["chromium"], install)?.to_string_lossy().into_owned();
    output::line(format_args!("found    {program}"));
    Ok(program)
}
