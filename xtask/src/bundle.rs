//! `cargo xtask bundle`: a folder with tests and benchmarks that runs on a machine without Rust.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{CommandError, CommandLine};
use crate::output;
use crate::workspace::{LIBRARY, Workspace, WorkspaceError};

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("cargo built no program for `{0}`")]
    NotBuilt(&'static str),
    #[error("could not write {}: {source}", file.display())]
    Write { file: PathBuf, source: io::Error },
}

/// What cargo calls the programs, and the bundle.
const PROGRAMS: [(&str, &str); 2] = [("step", "bench"), ("device", "tests")];

/// The Vulkan loader, and what NVIDIA's driver needs besides.
const LIBRARIES: [&str; 5] =
    ["libvulkan.so.1", "libEGL.so.1", "libGLX.so.0", "libGL.so.1", "libGLdispatch.so.0"];

/// Where they are on Debian, Ubuntu and Fedora.
const LIBRARY_FOLDERS: [&str; 3] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];

/// Builds the folder anew, and says how to run it.
pub fn run() -> Result<(), BundleError> {
    let workspace = Workspace::here()?;
    let words =
        ["test", "--release", "--package", LIBRARY, "--test", "device", "--bench", "step", "--no-run"];
    let messages = CommandLine::new("cargo", words).arg("--message-format=json-render-diagnostics").read()?;

    let folder = workspace.target.join("bundle");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|source| BundleError::Write { file: folder.clone(), source })?;
    }
    for (target, name) in PROGRAMS {
        let program = program(&messages, target).ok_or(BundleError::NotBuilt(target))?;
        copy(&program, &folder.join(name))?;
    }
    let benches = workspace.root.join("benches");
    copy(&benches.join("bundle/run.sh"), &folder.join("run.sh"))?;
    copy(&benches.join("peers/pytorch.py"), &folder.join("pytorch.py"))?;
    let golden = workspace.root.join("tests/golden");
    for file in fs::read_dir(&golden).into_iter().flatten().flatten() {
        let is_json = file.path().extension().is_some_and(|extension| extension == "json");
        // Files of another form, with their script beside them, are inside the tests.
        if is_json && !file.path().with_extension("py").exists() {
            copy(&file.path(), &folder.join("golden").join(file.file_name()))?;
        }
    }
    for name in LIBRARIES {
        let mut places = LIBRARY_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
        match places.find(|place| place.exists()) {
            Some(library) => copy(&library, &folder.join("lib").join(name))?,
            None => output::line(format_args!("no {name} here: the other machine needs its own")),
        }
    }
    let name = folder.display();
    output::line(format_args!(
        "\nThe folder: {name}\nCopy it to a Linux machine of this architecture and run ./run.sh"
    ));
    Ok(())
}

/// The program that cargo says it made of a target.
pub fn program(messages: &str, target: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| {
        let is_it = message.get("target")?.get("name")?.as_str()? == target;
        message.get("executable")?.as_str().filter(|_| is_it).map(PathBuf::from)
    });
    programs.next_back()
}

fn copy(from: &Path, to: &Path) -> Result<(), BundleError> {
    let parent = to.parent().map_or(Ok(()), fs::create_dir_all);
    parent
        .and_then(|()| fs::copy(from, to))
        .map_err(|source| BundleError::Write { file: to.to_owned(), source })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_where_cargo_says() {
        let messages = "{\"target\":{\"name\":\"other\"},\"executable\":\"/t/other\"}\n\
                        {\"target\":{\"name\":\"step\"},\"executable\":\"/t/step-1\"}\n\
                        {\"reason\":\"build-finished\"}\n";
        assert_eq!(program(messages, "step"), Some("/t/step-1".into()));
        assert_eq!(program(messages, "device"), None);
    }
}
