//! Files as the readers want them: whole, and with the file's name in every error.

use super::DataError;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A gzip stream begins so.
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(super) fn name(path: &Path) -> String {
    path.display().to_string()
}

pub(crate) fn unreadable(path: &Path, problem: &io::Error) -> DataError {
    DataError::Unreadable { file: name(path), reason: problem.to_string() }
}

/// The whole file.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|problem| unreadable(path, &problem))
}

/// At most so many bytes of the file, unpacked where gzip packed it, and whether its gzip stream ends in the middle,
/// so that the caller can say how much is missing.
pub(super) fn unpacked(path: &Path, most: u64) -> Result<(Vec<u8>, bool), DataError> {
    let fail = |problem: io::Error| unreadable(path, &problem);
    let mut file = File::open(path).map_err(fail)?;
    let mut head = Vec::new();
    file.by_ref().take(GZIP.len() as u64).read_to_end(&mut head).map_err(fail)?;
    let is_gzip = head == GZIP;
    let whole = io::Cursor::new(head).chain(file);
    let mut data = Vec::new();
    let result = match is_gzip {
        true => flate2::read::MultiGzDecoder::new(whole).take(most).read_to_end(&mut data),
        false => whole.take(most).read_to_end(&mut data),
    };
    match result {
        Ok(_) => Ok((data, false)),
        Err(problem) if problem.kind() == io::ErrorKind::UnexpectedEof => Ok((data, true)),
        Err(problem) => Err(fail(problem)),
    }
}

/// The whole file, which must be text. Byte order marks are dropped.
pub(super) fn text(path: &Path) -> Result<String, DataError> {
    let bytes = bytes(path)?;
    let kind = kind_of(&bytes);
    let text = String::from_utf8(bytes).map_err(|problem| DataError::Foreign {
        file: name(path),
        problem: match kind {
            Some((kind, _)) => format!("it is {kind}, not text"),
            None => format!("its byte {} is not UTF-8", problem.utf8_error().valid_up_to()),
        },
        advice: kind.map_or("convert it to UTF-8", |(_, advice)| advice).to_owned(),
    })?;
    Ok(text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text))
}

/// The text of a file that ends its last line, as a file does that was not cut short.
pub(super) fn lines(path: &Path) -> Result<String, DataError> {
    let text = text(path)?;
    match text.lines().next_back() {
        None => Err(DataError::Empty { file: name(path), what: "text" }),
        Some(line) if !text.ends_with('\n') => Err(DataError::Unfinished {
            file: name(path),
            what: format!("line {} (`{}`)", text.lines().count(), start(line)),
        }),
        Some(_) => Ok(text),
    }
}

/// The first characters of a line, for messages.
pub(super) fn start(line: &str) -> &str {
    line.char_indices().nth(40).map_or(line, |(end, _)| &line[..end])
}

/// What a file may be that begins with these bytes, and what to do about it.
pub(super) fn kind_of(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(("packed by gzip", "unpack it")),
        [b'P', b'K', 3 | 5, ..] => Some(("a zip archive", "unpack it")),
        [b'B', b'Z', b'h', ..] => Some(("packed by bzip2", "unpack it")),
        [0xfd, b'7', b'z', b'X', ..] => Some(("packed by xz", "unpack it")),
        [0x80, 2..=5, ..] => Some(("a pickle of Python", "take the binary version")),
        [b'<', b'!' | b'h' | b'?', ..] => Some(("a web page that was saved in its place", "fetch it again")),
        _ => None,
    }
}

/// What is in a folder, in order.
pub(super) fn entries(folder: &Path, wanted: &str) -> Result<Vec<PathBuf>, DataError> {
    let fail = |problem: io::Error| DataError::NoFolder {
        folder: name(folder),
        reason: problem.to_string(),
        wanted: wanted.to_owned(),
    };
    let found: Result<Vec<_>, _> =
        folder.read_dir().map_err(fail)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut found = found.map_err(fail)?;
    found.sort();
    Ok(found)
}

/// Fails where this is no folder.
pub(super) fn is_folder(folder: &Path, wanted: &str) -> Result<(), DataError> {
    entries(folder, wanted).map(|_| ())
}
