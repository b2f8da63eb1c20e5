//! Sentences and their translations: two files with as many lines, as WMT's are (`train.en`, `train.de`).

use super::DataError;
use super::files;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A sentence and its translation.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The sentence.
    pub source: String,
    /// Its translation.
    pub target: String,
}

/// Goes through two files line by line, so that they need not fit in memory. Pairs with an empty side are left out.
pub struct Pairs {
    source: Side,
    target: Side,
    is_over: bool,
}

struct Side {
    path: PathBuf,
    reader: BufReader<File>,
    lines: u64,
}

impl Pairs {
    /// Opens both files.
    pub fn open(source: &Path, target: &Path) -> Result<Self, DataError> {
        Ok(Self { source: Side::open(source)?, target: Side::open(target)?, is_over: false })
    }

    fn read(&mut self) -> Result<Option<Pair>, DataError> {
        loop {
            match (self.source.line()?, self.target.line()?) {
                (None, None) if self.source.lines == 0 => {
                    return Err(DataError::Empty { file: files::name(&self.source.path), what: "lines" });
                }
                (None, None) => return Ok(None),
                (Some(source), Some(target)) if source.is_empty() || target.is_empty() => {}
                (Some(source), Some(target)) => return Ok(Some(Pair { source, target })),
                _ => return Err(self.differ()),
            }
        }
    }

    fn differ(&self) -> DataError {
        let [first, second] = [&self.source, &self.target].map(|side| match side.lines.cmp(&self.least()) {
            std::cmp::Ordering::Greater => format!("more than {} lines", self.least()),
            _ => format!("{} lines", side.lines),
        });
        let (first_file, second_file) = (files::name(&self.source.path), files::name(&self.target.path));
        DataError::Differ { first_file, first, second_file, second }
    }

    fn least(&self) -> u64 {
        self.source.lines.min(self.target.lines)
    }
}

impl Iterator for Pairs {
    type Item = Result<Pair, DataError>;

    /// The next pair. After an error there is none.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Side {
    fn open(path: &Path) -> Result<Self, DataError> {
        let file = match path.is_file() {
            true => File::open(path).map_err(|problem| files::unreadable(path, &problem))?,
            false => {
                return Err(DataError::Missing {
                    folder: path.parent().map(files::name).unwrap_or_default(),
                    names: vec![
                        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
                    ],
                    advice: "give two files, a sentence and its translation on lines of the same number"
                        .to_owned(),
                });
            }
        };
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), lines: 0 })
    }

    /// The next line, without spaces around it.
    fn line(&mut self) -> Result<Option<String>, DataError> {
        let mut bytes = Vec::new();
        self.reader
            .read_until(b'\n', &mut bytes)
            .map_err(|problem| files::unreadable(&self.path, &problem))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let file = files::name(&self.path);
        let line = self.lines + 1;
        let kind = files::kind_of(&bytes).filter(|_| self.lines == 0);
        let is_whole = bytes.ends_with(b"\n");
        let text = String::from_utf8(bytes).ok().filter(|_| kind.is_none());
        let Some(text) = text else {
            return Err(DataError::Foreign {
                file,
                problem: kind.map_or(format!("its line {line} is not UTF-8"), |(kind, _)| {
                    format!("it is {kind}, not text")
                }),
                advice: kind.map_or("convert it to UTF-8", |(_, advice)| advice).to_owned(),
            });
        };
        if !is_whole {
            return Err(DataError::Unfinished {
                file,
                what: format!("line {line} (`{}`)", files::start(&text)),
            });
        }
        self.lines = line;
        Ok(Some(text.trim().to_owned()))
    }
}
