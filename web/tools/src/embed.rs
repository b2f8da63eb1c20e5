//! A file's bytes within an ES module: bundlers, development servers and workers all find a module's imports, and not all
//! of them a file that stands beside it.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::size::gzip;

#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", file.display())]
pub struct EmbedError {
    file: PathBuf,
    source: io::Error,
}

/// Writes the module.
pub fn run(file: &Path, module: &Path) -> Result<(), EmbedError> {
    let failed = |file: &Path| {
        let file = file.to_owned();
        |source| EmbedError { file, source }
    };
    let bytes = std::fs::read(file).map_err(failed(file))?;
    std::fs::write(module, text(&bytes).map_err(failed(file))?).map_err(failed(module))
}

/// Compressed before it becomes text: text that is compressed on its way to a browser would be a third larger.
fn text(bytes: &[u8]) -> io::Result<String> {
    let encoded = BASE64_STANDARD.encode(gzip(bytes)?);
    Ok(format!("/** WebAssembly, gzipped, in base64. */\nexport default '{encoded}';\n"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let text = text(&bytes).unwrap();
        let encoded = text.split('\'').nth(1).unwrap();
        let compressed = BASE64_STANDARD.decode(encoded).unwrap();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut back).unwrap();
        assert_eq!(back, bytes);
    }
}
