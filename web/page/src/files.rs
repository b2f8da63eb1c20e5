//! IDX files that were dropped: which is which, and the data set they make.

use std::io::Read;
use train::data::{DataError, Dataset, Source, Split, read_images, read_labels};
use train::unpack::Unpacked;

/// One image in so many is held out where no images to test on are given, as with the digits.
const TEST_EVERY: usize = 5;
/// IDX files of images and of labels begin so.
const IMAGES: [u8; 4] = [0, 0, 8, 3];
const LABELS: [u8; 4] = [0, 0, 8, 1];

/// A file and what it holds.
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The files make no data set.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Too few or too many.
    #[error(
        "{count} files were given; give two (images and labels) or four (images and labels to train on, and images \
         and labels to test on, with `test` or `t10k` in their names)"
    )]
    Count { count: usize },
    /// They do not pair up.
    #[error(
        "there are {images} files of images and {labels} of labels to {purpose}; give one of each{}",
        if *purpose == "test on" { ", with `test` or `t10k` in their names" } else { "" }
    )]
    Pair { images: usize, labels: usize, purpose: &'static str },
    /// It is no IDX file.
    #[error("`{name}` is not an IDX file of images or labels")]
    Kind { name: String },
    /// Too few images to hold any out.
    #[error(
        "`{name}` holds {count} images, and at least {TEST_EVERY} are needed, to hold some out for testing"
    )]
    Few { name: String, count: usize },
    /// A file is damaged.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl File {
    fn is_test(&self) -> bool {
        let name = self.name.to_lowercase();
        name.contains("test") || name.contains("t10k")
    }

    /// Whether it holds images, not labels.
    fn is_images(&self) -> Result<bool, FilesError> {
        let mut head = [0; 4];
        let read = Unpacked::new(self.bytes.as_slice()).and_then(|mut file| file.read_exact(&mut head));
        match (read, head) {
            (Ok(()), IMAGES) => Ok(true),
            (Ok(()), LABELS) => Ok(false),
            _ => Err(FilesError::Kind { name: self.name.clone() }),
        }
    }

    fn source(&self) -> Source<&[u8]> {
        Source { file: self.name.clone(), reader: &self.bytes, bytes: self.bytes.len() as u64 }
    }
}

/// The data set of two or four files.
pub fn read(files: &[File]) -> Result<Dataset, FilesError> {
    let name = "your files";
    match files.len() {
        2 => {
            let [images, labels] = pair(files.iter(), "train on")?;
            hold_out(name, images, labels)
        }
        4 => {
            let [a, b] = pair(files.iter().filter(|file| !file.is_test()), "train on")?;
            let [c, d] = pair(files.iter().filter(|file| file.is_test()), "test on")?;
            Ok(Dataset::from_idx(name, [a, b, c, d].map(File::source))?)
        }
        count => Err(FilesError::Count { count }),
    }
}

/// One file of images and one of labels.
fn pair<'a>(
    files: impl Iterator<Item = &'a File>,
    purpose: &'static str,
) -> Result<[&'a File; 2], FilesError> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        if file.is_images()? { images.push(file) } else { labels.push(file) }
    }
    match (images.as_slice(), labels.as_slice()) {
        ([images], [labels]) => Ok([images, labels]),
        _ => Err(FilesError::Pair { images: images.len(), labels: labels.len(), purpose }),
    }
}

/// Images of which some are held out for testing.
fn hold_out(name: &str, images: &File, labels: &File) -> Result<Dataset, FilesError> {
    let (images_file, labels_file) = (images.name.clone(), labels.name.clone());
    let (images, labels) = (read_images(images.source())?, read_labels(labels.source())?);
    if images.count != labels.len() {
        let (images, labels) = (images.count, labels.len());
        return Err(DataError::Counts { images_file, images, labels_file, labels }.into());
    }
    if images.count < TEST_EVERY {
        return Err(FilesError::Few { name: images_file, count: images.count });
    }
    let (mut train, mut test) = (Split::default(), Split::default());
    let pixels = images.pixels.chunks(images.width * images.height);
    for (index, (pixels, label)) in pixels.zip(labels).enumerate() {
        let split = if index % TEST_EVERY == 0 { &mut test } else { &mut train };
        split.pixels.extend_from_slice(pixels);
        split.labels.push(label);
    }
    let scale = 1.0 / f32::from(u8::MAX);
    Ok(Dataset { name: name.to_owned(), width: images.width, height: images.height, scale, train, test })
}
