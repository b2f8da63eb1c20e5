//! Which file a path names, however it is spelled, so that no two outputs of a program, and no output and an input,
//! are one file.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Symbolic links in one path at most, as on Linux.
const MOST_LINKS: usize = 40;

/// What a program does with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It reads the file there.
    Read,
    /// It makes or replaces the file there.
    Write,
    /// It makes the folder there.
    Folder,
}

/// A path that a program was given, or one that follows from it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The option that it comes from, for messages: `--json`.
    pub option: String,
    /// The path.
    pub path: PathBuf,
    /// What for.
    pub purpose: Purpose,
}

/// Paths that cannot be used together.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// Two of them name one file.
    #[error(
        "{} (`{}`) and {} (`{}`) are one file; give each its own",
        first.option, first.path.display(), second.option, second.path.display()
    )]
    Shared {
        /// One.
        first: Box<Claim>,
        /// The other.
        second: Box<Claim>,
    },
    /// One lies within what the other makes a file.
    #[error(
        "{} (`{}`) is a file, and {} (`{}`) needs a folder there; give each its own",
        file.option, file.path.display(), within.option, within.path.display()
    )]
    Within {
        /// The file.
        file: Box<Claim>,
        /// What lies in it.
        within: Box<Claim>,
    },
    /// The system could not tell.
    #[error("{} (`{}`) cannot be looked up: {source}", claim.option, claim.path.display())]
    Unknown {
        /// Which.
        claim: Box<Claim>,
        /// What it said.
        source: io::Error,
    },
}

impl Claim {
    /// A file that `option` has the program write.
    pub fn output(option: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { option: option.into(), path: path.into(), purpose: Purpose::Write }
    }

    /// A file that `option` has the program read.
    pub fn input(option: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { option: option.into(), path: path.into(), purpose: Purpose::Read }
    }

    /// A folder that `option` has the program make.
    pub fn folder(option: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { option: option.into(), path: path.into(), purpose: Purpose::Folder }
    }
}

/// Refuses outputs that are one file with another output or an input. Looks, and changes nothing.
pub fn check(claims: &[Claim]) -> Result<(), PathError> {
    let place = |claim: &Claim| {
        Place::of(&claim.path).map_err(|source| PathError::Unknown { claim: Box::new(claim.clone()), source })
    };
    let places = claims.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let all: Vec<_> = claims.iter().zip(&places).collect();
    for (index, (first, here)) in all.iter().enumerate() {
        for (second, there) in &all[index + 1..] {
            let [is_output, other_is_output] = [first, second].map(|claim| claim.purpose == Purpose::Write);
            if (is_output || other_is_output) && here.is(there) {
                let [first, second] = [first, second].map(|claim| Box::new((*claim).clone()));
                return Err(PathError::Shared { first, second });
            }
            let nested = match () {
                () if is_output && there.path.starts_with(&here.path) => Some((first, second)),
                () if other_is_output && here.path.starts_with(&there.path) => Some((second, first)),
                () => None,
            };
            if let Some((file, within)) = nested {
                let [file, within] = [file, within].map(|claim| Box::new((*claim).clone()));
                return Err(PathError::Within { file, within });
            }
        }
    }
    Ok(())
}

/// Where a path leads.
#[derive(Debug)]
struct Place {
    /// Without links, `.` and `..`.
    path: PathBuf,
    /// Which file that is, where there is one: hard links share it.
    identity: Option<[u64; 2]>,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let path = resolve(path)?;
        let identity = fs::metadata(&path).ok().and_then(|metadata| identity(&metadata));
        Ok(Self { path, identity })
    }

    fn is(&self, other: &Self) -> bool {
        self.path == other.path
            || self.identity.is_some() && self.identity == other.identity
            || self.is_but_for_case(other)
    }

    /// Whether the file system takes them for one although they are spelled differently.
    fn is_but_for_case(&self, other: &Self) -> bool {
        let folded = |path: &Path| path.to_string_lossy().to_lowercase();
        let is_new = self.identity.is_none() && other.identity.is_none();
        is_new && folded(&self.path) == folded(&other.path) && self.path.parent().is_some_and(folds_case)
    }
}

/// What tells a file from every other one, where the system says: links share it.
#[cfg(unix)]
pub fn identity(metadata: &fs::Metadata) -> Option<[u64; 2]> {
    use std::os::unix::fs::MetadataExt;
    Some([metadata.dev(), metadata.ino()])
}

/// What tells a file from every other one, where the system says: links share it.
#[cfg(not(unix))]
pub fn identity(_: &fs::Metadata) -> Option<[u64; 2]> {
    None
}

/// Whether names in a folder that differ by case alone are one, as far as can be told: by a file of no name's own.
fn folds_case(folder: &Path) -> bool {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    let probe = there.and_then(|folder| tempfile::Builder::new().prefix(".Case-").tempfile_in(folder).ok());
    probe.is_some_and(|probe| {
        let name = probe.path().file_name().map(|name| name.to_string_lossy().to_lowercase());
        name.is_some_and(|name| probe.path().with_file_name(name).exists())
    })
}

/// The path of what a path leads to, or would where it is not there yet: absolute, every link followed, without `.`
/// and `..`.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let parts = |path: &Path| -> VecDeque<OsString> {
        path.components().map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut pending = parts(&std::path::absolute(path)?);
    let mut resolved = PathBuf::new();
    let mut links = 0;
    while let Some(part) = pending.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                resolved.pop();
            }
            Some(Component::CurDir) | None => {}
            // A root or a prefix takes the place of what is before it.
            Some(_) => resolved.push(&part),
        }
        let Ok(target) = fs::read_link(&resolved) else { continue };
        links += 1;
        if links > MOST_LINKS {
            return Err(io::Error::other("its symbolic links go round in a circle"));
        }
        resolved.pop();
        let mut rest = parts(&target);
        rest.append(&mut pending);
        pending = rest;
    }
    Ok(resolved)
}
