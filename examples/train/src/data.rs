//! Labelled images: the digits that come with this example, and the IDX format of MNIST and its kin.
//!
//! Reads from anything that is [`Read`]; finding files on a disk is the subject of `folder`.

use crate::unpack::Unpacked;
use std::io::{self, Read};

/// Labels are 0 to 9.
pub const CLASSES: usize = 10;

/// More bytes of pixels than any device binds; what claims more is not read.
const MOST_BYTES: u64 = 1 << 31;

/// DEFLATE packs at most 1,032 bytes into one, so a header that claims more of its file is wrong.
const MOST_INFLATION: u64 = 1032;

const DIGITS_FILE: &str = "digits.csv.gz";
const DIGITS: &[u8] = include_bytes!("../data/digits.csv.gz");
const DIGITS_SIDE: usize = 8;
const DIGITS_INK: u8 = 16;
/// One image in so many is held out.
const DIGITS_TEST_EVERY: usize = 5;

/// Images for training and others, held out, for testing.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name, for people.
    pub name: String,
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// What a pixel's byte is multiplied by, so that the brightest is 1.
    pub scale: f32,
    /// The images to train on.
    pub train: Split,
    /// The images held out.
    pub test: Split,
}

/// Images and their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// A byte a pixel, image after image, row after row.
    pub pixels: Vec<u8>,
    /// A label an image.
    pub labels: Vec<u8>,
}

/// Images as an IDX file holds them.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// How many.
    pub count: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// A byte a pixel, image after image, row after row.
    pub pixels: Vec<u8>,
}

/// What can be wrong with a data set.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder is not there, or is none.
    #[error("`{folder}` is not a folder ({reason}); give a folder of IDX files, or `digits`")]
    NoFolder {
        /// The folder.
        folder: String,
        /// What the system said.
        reason: String,
    },
    /// A file is missing.
    #[error("`{folder}` has no {}; put one of these files there", list(.names))]
    Missing {
        /// The folder.
        folder: String,
        /// The names that were looked for.
        names: Vec<String>,
    },
    /// There are several data sets in a folder.
    #[error("`{folder}` has several data sets; choose with --data {}", list(.choices))]
    Several {
        /// The folder.
        folder: String,
        /// What to give for each.
        choices: Vec<String>,
    },
    /// The system could not read a file, or its compression is broken.
    #[error("`{file}` cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file is of another kind.
    #[error(
        "`{file}` begins with 0x{found:08x}, and IDX {kind} begin with 0x{expected:08x}; it is another \
         kind of file{}", kind_of(*found)
    )]
    Magic {
        /// The file.
        file: String,
        /// Its first four bytes.
        found: u32,
        /// What they should be.
        expected: u32,
        /// `images` or `labels`.
        kind: &'static str,
    },
    /// A file ends early.
    #[error("`{file}` is cut short: its header calls for {expected} bytes, and it holds {found}")]
    Truncated {
        /// The file.
        file: String,
        /// Bytes there.
        found: String,
        /// Bytes that the header calls for.
        expected: u64,
    },
    /// A file goes on after its data.
    #[error("`{file}` goes on after the {expected} bytes that its header calls for")]
    Trailing {
        /// The file.
        file: String,
        /// Bytes that the header calls for.
        expected: u64,
    },
    /// A file holds nothing to learn from.
    #[error("`{file}` holds {count} images of {height} x {width} pixels; none of the three may be 0")]
    Empty {
        /// The file.
        file: String,
        /// Images.
        count: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// Pixels from left to right.
        width: u32,
    },
    /// A file holds more than can be trained on.
    #[error("`{file}` calls for {found} bytes, and at most {most} are read")]
    TooLarge {
        /// The file.
        file: String,
        /// What its header calls for.
        found: String,
        /// The most that is read.
        most: u64,
    },
    /// Images and labels do not belong together.
    #[error("`{images_file}` holds {images} images, and `{labels_file}` {labels} labels: they differ")]
    Counts {
        /// The file of images.
        images_file: String,
        /// How many it holds.
        images: usize,
        /// The file of labels.
        labels_file: String,
        /// How many it holds.
        labels: usize,
    },
    /// A label is not a class.
    #[error(
        "`{file}` gives image {index} (counted from 0) the label {found}; labels are 0 to 9{}",
        if file.contains("emnist") { " (of EMNIST, `digits` and `mnist` have these alone)" } else { "" }
    )]
    Label {
        /// The file.
        file: String,
        /// The image.
        index: usize,
        /// Its label.
        found: u8,
    },
    /// Images for training and testing differ in size.
    #[error(
        "`{train_file}` holds images of {} x {} pixels, and `{test_file}` of {} x {}: they differ",
        train.0, train.1, test.0, test.1
    )]
    Sizes {
        /// The file to train on.
        train_file: String,
        /// Height and width there.
        train: (usize, usize),
        /// The file to test on.
        test_file: String,
        /// Height and width there.
        test: (usize, usize),
    },
    /// A row of a table is wrong.
    #[error("`{file}`, image {index} (counted from 0): {problem}")]
    Row {
        /// The file.
        file: String,
        /// The row.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// A named source of bytes in the IDX format, plain or packed by gzip.
pub struct Source<R> {
    /// The file's name, for messages.
    pub file: String,
    /// Its bytes.
    pub reader: R,
    /// How many there are.
    pub bytes: u64,
}

impl Split {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn push(&mut self, pixels: &[u8], label: u8) {
        self.pixels.extend_from_slice(pixels);
        self.labels.push(label);
    }
}

impl Dataset {
    /// The 1,797 digits of 8 x 8 pixels that come with this example. Every fifth, the first included,
    /// is held out.
    pub fn digits() -> Result<Self, DataError> {
        Self::from_digits(DIGITS)
    }

    fn from_digits(packed: &[u8]) -> Result<Self, DataError> {
        let row_error = |index, problem| DataError::Row { file: DIGITS_FILE.to_owned(), index, problem };
        let (mut train, mut test) = (Split::default(), Split::default());
        let mut table = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(flate2::read::MultiGzDecoder::new(packed));
        for (index, row) in table.deserialize::<Vec<u8>>().enumerate() {
            let row = row.map_err(|problem| row_error(index, problem.to_string()))?;
            let [pixels @ .., label] = row.as_slice() else {
                return Err(row_error(index, "it is empty".to_owned()));
            };
            if pixels.len() != DIGITS_SIDE * DIGITS_SIDE {
                return Err(row_error(index, format!("{} pixels and a label, not 64", pixels.len())));
            }
            if let Some(ink) = pixels.iter().find(|&&ink| ink > DIGITS_INK) {
                return Err(row_error(index, format!("a pixel of {ink}; they are 0 to {DIGITS_INK}")));
            }
            if usize::from(*label) >= CLASSES {
                return Err(DataError::Label { file: DIGITS_FILE.to_owned(), index, found: *label });
            }
            let split = if index % DIGITS_TEST_EVERY == 0 { &mut test } else { &mut train };
            split.push(pixels, *label);
        }
        Ok(Self {
            name: "digits".to_owned(),
            width: DIGITS_SIDE,
            height: DIGITS_SIDE,
            scale: 1.0 / f32::from(DIGITS_INK),
            train,
            test,
        })
    }

    /// A data set of four IDX files: images and labels to train on, images and labels to test on.
    pub fn from_idx<R: Read>(name: &str, sources: [Source<R>; 4]) -> Result<Self, DataError> {
        let [train_images, train_labels, test_images, test_labels] = sources;
        let (train_file, test_file) = (train_images.file.clone(), test_images.file.clone());
        let (train, train_size) = read_split(train_images, train_labels)?;
        let (test, test_size) = read_split(test_images, test_labels)?;
        if train_size != test_size {
            return Err(DataError::Sizes { train_file, train: train_size, test_file, test: test_size });
        }
        let (height, width) = train_size;
        let scale = 1.0 / f32::from(u8::MAX);
        Ok(Self { name: name.to_owned(), width, height, scale, train, test })
    }

    /// Pixels of an image.
    pub fn pixels(&self) -> usize {
        self.width * self.height
    }
}

/// Reads images and their labels; also gives the images' height and width.
fn read_split<R: Read>(images: Source<R>, labels: Source<R>) -> Result<(Split, (usize, usize)), DataError> {
    let (images_file, labels_file) = (images.file.clone(), labels.file.clone());
    let images = read_images(images)?;
    let labels = read_labels(labels)?;
    if images.count != labels.len() {
        return Err(DataError::Counts {
            images_file,
            images: images.count,
            labels_file,
            labels: labels.len(),
        });
    }
    Ok((Split { pixels: images.pixels, labels }, (images.height, images.width)))
}

/// Reads an IDX file of images (magic number 0x803).
pub fn read_images<R: Read>(source: Source<R>) -> Result<Images, DataError> {
    let file = source.file.clone();
    let ([count, height, width], pixels) = read_idx::<3, R>(source, 0x803, "images")?;
    if count == 0 || height == 0 || width == 0 {
        return Err(DataError::Empty { file, count, height, width });
    }
    Ok(Images { count: count as usize, height: height as usize, width: width as usize, pixels })
}

/// Reads an IDX file of labels (magic number 0x801).
pub fn read_labels<R: Read>(source: Source<R>) -> Result<Vec<u8>, DataError> {
    let file = source.file.clone();
    let (_, labels) = read_idx::<1, R>(source, 0x801, "labels")?;
    check_labels(&file, &labels)?;
    Ok(labels)
}

fn check_labels(file: &str, labels: &[u8]) -> Result<(), DataError> {
    match labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        Some(index) => Err(DataError::Label { file: file.to_owned(), index, found: labels[index] }),
        None => Ok(()),
    }
}

/// Reads an IDX file of bytes with so many dimensions: the sizes of these, and the bytes.
///
/// Memory grows with what is read, never with what the header claims.
fn read_idx<const DIMENSIONS: usize, R: Read>(
    source: Source<R>,
    magic: u32,
    kind: &'static str,
) -> Result<([u32; DIMENSIONS], Vec<u8>), DataError> {
    let Source { file, reader, bytes: packed } = source;
    let unreadable = |problem: io::Error| DataError::Unreadable {
        file: file.clone(),
        reason: match problem.kind() {
            io::ErrorKind::UnexpectedEof => "its gzip stream is cut short".to_owned(),
            _ => problem.to_string(),
        },
    };
    let mut reader = Unpacked::new(reader).map_err(unreadable)?;
    let is_gzip = reader.is_gzip();

    let header_bytes = 4 * (1 + DIMENSIONS);
    let header = read_at_most(&mut reader, header_bytes as u64).map_err(unreadable)?;
    let words: Vec<u32> =
        header.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]])).collect();
    if let Some(&found) = words.first()
        && found != magic
    {
        return Err(DataError::Magic { file, found, expected: magic, kind });
    }
    let truncated = |found: u64, expected| DataError::Truncated {
        file: file.clone(),
        found: if is_gzip { format!("{found}, unpacked") } else { found.to_string() },
        expected,
    };
    let Some(&sizes) = words.get(1..).and_then(|sizes| sizes.first_chunk::<DIMENSIONS>()) else {
        return Err(truncated(header.len() as u64, header_bytes as u64));
    };

    let payload = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)));
    let Some(payload) = payload.filter(|&payload| payload <= MOST_BYTES) else {
        let found = sizes.map(|size| size.to_string()).join(" x ");
        return Err(DataError::TooLarge { file, found, most: MOST_BYTES });
    };
    let expected = header_bytes as u64 + payload;
    if is_gzip && expected > packed.saturating_mul(MOST_INFLATION) {
        let found = format!("{packed}, packed, which cannot unpack to that");
        return Err(DataError::Truncated { file, found, expected });
    }
    if !is_gzip && expected > packed {
        return Err(truncated(packed, expected));
    }
    let data = read_at_most(&mut reader, payload).map_err(unreadable)?;
    if (data.len() as u64) < payload {
        return Err(truncated(header_bytes as u64 + data.len() as u64, expected));
    }
    // Reading on also has gzip compare its checksum.
    match reader.take(1).read_to_end(&mut Vec::new()).map_err(unreadable)? {
        0 => Ok((sizes, data)),
        _ => Err(DataError::Trailing { file, expected }),
    }
}

/// The next bytes, fewer only where the stream ends. A gzip stream that ends in its middle counts as
/// ending there, so that the caller can say how much is missing.
fn read_at_most(reader: &mut impl Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    match reader.take(bytes).read_to_end(&mut data) {
        Err(problem) if problem.kind() == io::ErrorKind::UnexpectedEof && (data.len() as u64) < bytes => {
            Ok(data)
        }
        Err(problem) => Err(problem),
        Ok(_) => Ok(data),
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// What a file may be that begins with these bytes, in words.
fn kind_of(head: u32) -> &'static str {
    let bytes = head.to_be_bytes();
    match bytes {
        [b'P', b'K', ..] => " (zip: unpack it)",
        [b'B', b'Z', b'h', _] => " (bzip2: unpack it)",
        [0xfd, b'7', b'z', b'X'] => " (xz: unpack it)",
        _ if bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            " (text, such as a web page that was saved in its place)"
        }
        _ => "",
    }
}
