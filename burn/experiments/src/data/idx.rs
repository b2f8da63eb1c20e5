//! MNIST's IDX format, plain or packed by gzip: Fashion-MNIST
//! ([Xiao, Rasul, Vollgraf, 2017](https://arxiv.org/abs/1708.07747)) and its kin.

use super::DataError;
use super::files;
use super::images::{ImageSet, Images};
use std::path::{Path, PathBuf};

const CLASSES: usize = 10;
const IMAGES: Kind = Kind { magic: 0x0803, dimensions: 3, name: "images" };
const LABELS: Kind = Kind { magic: 0x0801, dimensions: 1, name: "labels" };
/// What claims more bytes is not read.
const MOST_BYTES: u64 = 1 << 31;

struct Kind {
    magic: u32,
    dimensions: usize,
    name: &'static str,
}

/// Reads the four files of a folder: images and labels, to train on (`train`) and held out (`t10k`).
pub fn read(folder: &Path) -> Result<ImageSet, DataError> {
    files::is_folder(folder, "`train-images-idx3-ubyte`")?;
    let (train_shape, train) = images(folder, "train")?;
    let (test_shape, test) = images(folder, "t10k")?;
    if train_shape != test_shape {
        let [first, second] = [train_shape, test_shape]
            .map(|[_, height, width]| format!("images of {height} x {width} pixels"));
        let [first_file, second_file] = ["train", "t10k"].map(|split| files::name(&folder.join(split)));
        return Err(DataError::Differ { first_file, first, second_file, second });
    }
    Ok(ImageSet { shape: train_shape, classes: CLASSES, train, test })
}

fn images(folder: &Path, split: &str) -> Result<([usize; 3], Images), DataError> {
    let images_path = find(folder, &format!("{split}-images"), "idx3")?;
    let labels_path = find(folder, &format!("{split}-labels"), "idx1")?;
    let (sizes, pixels) = read_file(&images_path, &IMAGES)?;
    let (_, labels) = read_file(&labels_path, &LABELS)?;
    let [count, height, width] = [0, 1, 2].map(|dimension| sizes[dimension] as usize);
    if pixels.is_empty() {
        return Err(DataError::Empty { file: files::name(&images_path), what: "pixels" });
    }
    if labels.len() != count {
        return Err(DataError::Differ {
            first_file: files::name(&images_path),
            first: format!("{count} images"),
            second_file: files::name(&labels_path),
            second: format!("{} labels", labels.len()),
        });
    }
    if let Some(index) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        let (file, found) = (files::name(&labels_path), usize::from(labels[index]));
        return Err(DataError::Label { file, index, found, classes: CLASSES });
    }
    Ok(([1, height, width], Images { pixels, labels }))
}

fn find(folder: &Path, stem: &str, kind: &str) -> Result<PathBuf, DataError> {
    let names = ["-", "."]
        .map(|separator| ["", ".gz"].map(|packed| format!("{stem}{separator}{kind}-ubyte{packed}")))
        .concat();
    let path = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    path.ok_or_else(|| DataError::Missing {
        folder: files::name(folder),
        names,
        advice: "put one of these files there".to_owned(),
    })
}

/// Sizes and bytes of one file.
fn read_file(path: &Path, kind: &Kind) -> Result<(Vec<u32>, Vec<u8>), DataError> {
    let header_bytes = 4 * (1 + kind.dimensions);
    // One byte more than any file has that is read, so that what goes on is seen.
    let (mut data, is_cut) = files::unpacked(path, MOST_BYTES + 1)?;
    let file = files::name(path);
    let words: Vec<u32> = data
        .chunks_exact(4)
        .take(1 + kind.dimensions)
        .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    if let Some(&found) = words.first()
        && found != kind.magic
    {
        let advice = files::kind_of(&data).map_or("give IDX files", |(_, advice)| advice).to_owned();
        let problem =
            format!("it begins with 0x{found:08x}, and IDX {} begin with 0x{:08x}", kind.name, kind.magic);
        return Err(DataError::Foreign { file, problem, advice });
    }
    let found = data.len() as u64;
    if data.len() < header_bytes {
        return Err(DataError::Truncated {
            file,
            expected: header_bytes as u64,
            found,
            unit: "bytes of header",
        });
    }
    let sizes = words[1..].to_vec();
    let payload = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)));
    let expected = payload.and_then(|payload| payload.checked_add(header_bytes as u64)).unwrap_or(u64::MAX);
    if expected > MOST_BYTES {
        let problem = format!("its header claims {sizes:?}, more than the {MOST_BYTES} bytes that are read");
        return Err(DataError::Foreign { file, problem, advice: "give a smaller file".to_owned() });
    }
    if found < expected {
        return Err(DataError::Truncated { file, expected, found, unit: "bytes" });
    }
    if found > expected {
        return Err(DataError::Trailing { file, expected, found, unit: "bytes" });
    }
    if is_cut {
        // All is there but the checksum.
        return Err(DataError::Unfinished { file, what: "its gzip stream".to_owned() });
    }
    data.drain(..header_bytes);
    Ok((sizes, data))
}
