//! Where the workspace and its build folder are, as cargo says.

use std::path::PathBuf;

use serde_json::Value;

use crate::command::{CommandError, CommandLine};

/// The package of the library.
pub const LIBRARY: &str = "lookahead-wgpu";

#[derive(Debug, PartialEq)]
pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("`cargo metadata` named no workspace and target directory: {metadata}")]
    Metadata { metadata: String },
}

impl Workspace {
    pub fn here() -> Result<Self, WorkspaceError> {
        let metadata = ["metadata", "--format-version", "1", "--no-deps"];
        let metadata = CommandLine::new("cargo", metadata).read()?;
        parse(&metadata)
            .ok_or_else(|| WorkspaceError::Metadata { metadata: metadata.chars().take(200).collect() })
    }
}

fn parse(metadata: &str) -> Option<Workspace> {
    let json: Value = serde_json::from_str(metadata).ok()?;
    let path = |name: &str| Some(json.get(name)?.as_str()?.into());
    Some(Workspace { root: path("workspace_root")?, target: path("target_directory")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_are_cargos_own() {
        let workspace = parse(r#"{"target_directory": "/elsewhere", "workspace_root": "/here"}"#);
        let expected = Workspace { root: "/here".into(), target: "/elsewhere".into() };
        assert_eq!(workspace, Some(expected));
        assert_eq!(parse("nothing"), None);
    }
}
