//! The page of `benches/peers/web`, in Chromium.

use std::path::PathBuf;

use crate::chromium;
use crate::command::CommandLine;
use crate::node;
use crate::output;
use crate::web::{self, WebError};
use crate::workspace::Workspace;

pub struct Page {
    script: PathBuf,
    chromium: String,
}

impl Page {
    /// Builds the npm package, and sees to its peers and to Chromium.
    pub fn build(workspace: &Workspace, install: bool) -> Result<Self, WebError> {
        let folder = workspace.root.join("benches/peers/web");
        web::build(workspace, install)?;
        node::provide(&folder, install)?;
        Ok(Self { script: folder.join("run.mjs"), chromium: chromium::provide(install)? })
    }

    /// Measures, and gives the report that it prints.
    pub fn run(&self, seconds: f64) -> Result<String, WebError> {
        let command =
            CommandLine::new("node", []).arg(self.script.to_string_lossy()).arg(seconds.to_string());
        let command = command.envs(vec![("CHROMIUM", self.chromium.clone())]);
        output::line(format_args!("$ {command}"));
        Ok(command.read()?)
    }
}
