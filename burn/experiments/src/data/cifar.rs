//! CIFAR-10 and CIFAR-100 ([Krizhevsky, 2009](https://www.cs.toronto.edu/~kriz/cifar.html)), binary version: records
//! of the label (for CIFAR-100 the coarse label, then the fine one, which is taken) and 32 x 32 pixels of red, then
//! of green, then of blue, one byte each.

use super::DataError;
use super::files;
use super::images::{ImageSet, Images};
use std::path::{Path, PathBuf};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// Files of records.
#[derive(Debug, Clone, PartialEq)]
pub struct Format {
    /// The name of the folder in the published archive.
    pub folder: &'static str,
    /// The files to train on, and how many records each has.
    pub train: &'static [&'static str],
    /// Records of each.
    pub train_records: usize,
    /// The file held out.
    pub test: &'static str,
    /// Its records.
    pub test_records: usize,
    /// Classes of each of a record's labels. The last label counts.
    pub classes: &'static [usize],
}

/// CIFAR-10.
pub const CIFAR_10: Format = Format {
    folder: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    train_records: 10_000,
    test: "test_batch.bin",
    test_records: 10_000,
    classes: &[10],
};

/// CIFAR-100.
pub const CIFAR_100: Format = Format {
    folder: "cifar-100-binary",
    train: &["train.bin"],
    train_records: 50_000,
    test: "test.bin",
    test_records: 10_000,
    classes: &[20, 100],
};

impl Format {
    /// Reads the folder that has the files, or the one that it is in.
    pub fn read(&self, folder: &Path) -> Result<ImageSet, DataError> {
        let below = folder.join(self.folder);
        let folder = if below.is_dir() { below } else { folder.to_owned() };
        files::is_folder(&folder, &format!("`{}`", self.test))?;
        let mut train = Images::default();
        for file in self.train {
            self.append(&self.find(&folder, file)?, self.train_records, &mut train)?;
        }
        let mut test = Images::default();
        self.append(&self.find(&folder, self.test)?, self.test_records, &mut test)?;
        let classes = self.classes.last().copied().unwrap_or_default();
        Ok(ImageSet { shape: SHAPE, classes, train, test })
    }

    fn find(&self, folder: &Path, file: &str) -> Result<PathBuf, DataError> {
        let path = folder.join(file);
        if path.is_file() {
            return Ok(path);
        }
        let is_pickled = folder.join(file.trim_end_matches(".bin")).is_file();
        let advice = match is_pickled {
            true => "what is there is the Python version: take the binary version".to_owned(),
            false => format!("put the binary version's `{}` there, unpacked", self.folder),
        };
        Err(DataError::Missing { folder: files::name(folder), names: vec![file.to_owned()], advice })
    }

    fn append(&self, path: &Path, records: usize, images: &mut Images) -> Result<(), DataError> {
        let data = files::bytes(path)?;
        let file = files::name(path);
        if let Some((kind, advice)) = files::kind_of(&data) {
            let problem = format!("it is {kind}, not the binary version's records");
            return Err(DataError::Foreign { file, problem, advice: advice.to_owned() });
        }
        let bytes = self.classes.len() + PIXELS;
        let (found, expected) = (data.len() as u64, (records * bytes) as u64);
        if found < expected {
            return Err(DataError::Truncated { file, expected, found, unit: "bytes" });
        }
        if found > expected {
            return Err(DataError::Trailing { file, expected, found, unit: "bytes" });
        }
        for (index, record) in data.chunks_exact(bytes).enumerate() {
            let (labels, pixels) = record.split_at(self.classes.len());
            for (&label, &classes) in labels.iter().zip(self.classes) {
                let found = usize::from(label);
                if found >= classes {
                    return Err(DataError::Label { file, index, found, classes });
                }
            }
            images.labels.extend(labels.last());
            images.pixels.extend_from_slice(pixels);
        }
        Ok(())
    }
}
