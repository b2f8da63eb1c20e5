//! How large a file is, and how large on its way to a browser.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

#[derive(Debug, thiserror::Error)]
pub enum SizeError {
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{} has {gzipped} bytes gzipped, and the budget is {budget}", file.display())]
    Budget { file: PathBuf, gzipped: u64, budget: u64 },
}

/// Prints both sizes and compares the second with the budget.
pub fn run(file: &Path, budget: u64) -> Result<(), SizeError> {
    let failed = |source| SizeError::File { file: file.to_owned(), source };
    let bytes = std::fs::read(file).map_err(failed)?;
    let gzipped = gzip(&bytes).map_err(failed)?.len() as u64;
    let kilobytes = |bytes: u64| bytes as f64 / 1000.0;
    println!(
        "{}: {:.1} kB, {:.1} kB gzipped; at most {:.1} kB",
        file.display(),
        kilobytes(bytes.len() as u64),
        kilobytes(gzipped),
        kilobytes(budget)
    );
    if gzipped > budget {
        return Err(SizeError::Budget { file: file.to_owned(), gzipped, budget });
    }
    Ok(())
}

/// As small as gzip makes it.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_budget_is_refused() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/size.rs");
        let gzipped = gzip(&std::fs::read(&file).unwrap()).unwrap().len() as u64;
        assert!(gzipped > 100);
        run(&file, gzipped).unwrap();
        let error = run(&file, gzipped - 1).unwrap_err().to_string();
        assert!(error.ends_with(&format!("has {gzipped} bytes gzipped, and the budget is {}", gzipped - 1)));
    }
}
