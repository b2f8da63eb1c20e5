use crate::fresh_folder;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;
use train::data::{self, DataError, Dataset, Images, Source};
use train::folder;

pub fn idx(magic: u32, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let header = [&[magic], sizes].concat();
    header.iter().flat_map(|word| word.to_be_bytes()).chain(data.iter().copied()).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn source(bytes: &[u8]) -> Source<&[u8]> {
    Source { file: "a-file".to_owned(), reader: bytes, bytes: bytes.len() as u64 }
}

/// Four small files that belong together: 3 images to train on and 2 to test on, of 2 x 3 pixels.
pub fn small_files() -> [(&'static str, Vec<u8>); 4] {
    [
        ("train-images-idx3-ubyte", idx(0x803, &[3, 2, 3], &(0..18).collect::<Vec<_>>())),
        ("train-labels-idx1-ubyte", idx(0x801, &[3], &[0, 9, 5])),
        ("t10k-images-idx3-ubyte", idx(0x803, &[2, 2, 3], &[7; 12])),
        ("t10k-labels-idx1-ubyte", idx(0x801, &[2], &[1, 2])),
    ]
}

pub fn write_files(folder: &Path, files: &[(&str, Vec<u8>)]) {
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Finds a data set and reads it.
pub fn read(folder: &Path) -> Result<Dataset, DataError> {
    folder::find(folder)?.read()
}

#[test]
fn digits_hold_out_every_fifth_image() {
    let digits = Dataset::digits().unwrap();
    assert_eq!((digits.train.len(), digits.test.len()), (1437, 360));
    assert_eq!((digits.width, digits.height, digits.pixels()), (8, 8, 64));
    assert_eq!(digits.train.pixels.len(), 1437 * 64);
    assert_eq!(digits.scale * 16.0, 1.0);
    assert_eq!(digits.train.pixels.iter().max(), Some(&16));
    // The file begins with a 0, then a 1, and its labels count up to 9 again and again.
    assert_eq!(digits.test.labels[..3], [0, 5, 0]);
    assert_eq!(digits.train.labels[..5], [1, 2, 3, 4, 6]);
    assert_eq!(digits.test.pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    for label in 0..10 {
        assert!(digits.test.labels.iter().filter(|&&l| l == label).count() >= 25, "label {label}");
    }
}

#[test]
fn reads_plain_and_packed_files_of_either_spelling() {
    let folder = fresh_folder("idx_spellings");
    let [mut a, mut b, mut c, d] = small_files();
    a.0 = "train-images.idx3-ubyte";
    b = ("train-labels-idx1-ubyte.gz", gzip(&b.1));
    c = ("t10k-images.idx3-ubyte.gz", gzip(&c.1));
    write_files(&folder, &[a, b, c, d]);
    let dataset = read(&folder).unwrap();
    assert_eq!(dataset.name, "idx_spellings");
    assert_eq!((dataset.height, dataset.width), (2, 3));
    assert_eq!(dataset.train.pixels, (0..18).collect::<Vec<_>>());
    assert_eq!(dataset.train.labels, [0, 9, 5]);
    assert_eq!(dataset.test.labels, [1, 2]);
    assert_eq!(dataset.scale * 255.0, 1.0);
}

#[test]
fn a_missing_folder_or_file_is_named() {
    let folder = fresh_folder("idx_missing");
    let gone = folder.join("gone");
    assert!(matches!(read(&gone), Err(DataError::NoFolder { .. })));
    let file = folder.join("t10k-labels-idx1-ubyte");
    write_files(&folder, &small_files());
    assert!(matches!(read(&file), Err(DataError::NoFolder { .. })));
    std::fs::remove_file(file).unwrap();
    let message = read(&folder).unwrap_err().to_string();
    assert!(message.contains("idx_missing") && message.contains("`t10k-labels-idx1-ubyte`"), "{message}");
    assert!(message.contains("`t10k-labels.idx1-ubyte.gz`"), "{message}");
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let folder = fresh_folder("idx_mixed");
    write_files(&folder, &small_files());
    write_files(&folder, &[("train-labels-idx1-ubyte", idx(0x801, &[2], &[0, 9]))]);
    assert!(matches!(
        read(&folder),
        Err(DataError::Counts { images: 3, labels: 2, images_file, labels_file })
            if images_file.ends_with("train-images-idx3-ubyte")
                && labels_file.ends_with("train-labels-idx1-ubyte")
    ));
    write_files(&folder, &small_files());
    write_files(&folder, &[("t10k-images-idx3-ubyte", idx(0x803, &[2, 3, 2], &[7; 12]))]);
    assert!(matches!(read(&folder), Err(DataError::Sizes { train: (2, 3), test: (3, 2), .. })));
}

#[test]
fn another_kind_of_file_is_refused() {
    let images = idx(0x803, &[1, 1, 1], &[0]);
    assert!(matches!(
        data::read_labels(source(&images)),
        Err(DataError::Magic { found: 0x803, expected: 0x801, .. })
    ));
}

#[test]
fn labels_above_nine_and_empty_images_are_refused() {
    let labels = idx(0x801, &[3], &[9, 10, 0]);
    assert!(matches!(data::read_labels(source(&labels)), Err(DataError::Label { index: 1, found: 10, .. })));
    for sizes in [[0, 2, 2], [2, 0, 2], [2, 2, 0]] {
        let images = idx(0x803, &sizes, &[]);
        assert!(matches!(data::read_images(source(&images)), Err(DataError::Empty { .. })));
    }
}

#[test]
fn sizes_that_the_file_cannot_hold_are_refused_before_they_are_allocated() {
    for sizes in [[u32::MAX; 3], [u32::MAX, u32::MAX, 1], [1 << 16, 1 << 15, 2]] {
        let images = idx(0x803, &sizes, &[0; 50]);
        let plain_error = data::read_images(source(&images)).unwrap_err();
        assert!(
            matches!(plain_error, DataError::TooLarge { .. } | DataError::Truncated { .. }),
            "{plain_error}"
        );
        assert!(data::read_images(source(&gzip(&images))).is_err());
    }
    let images = idx(0x803, &[1000, 1000, 1000], &[0; 50]);
    assert!(matches!(
        data::read_images(source(&images)),
        Err(DataError::Truncated { found, expected: 1_000_000_016, .. }) if found == "66"
    ));
    let message = data::read_images(source(&gzip(&images))).unwrap_err().to_string();
    assert!(message.contains("cannot unpack to that"), "{message}");
}

#[test]
fn a_broken_gzip_stream_is_refused() {
    let images = idx(0x803, &[10, 4, 4], &(0..160).collect::<Vec<_>>());
    let good = gzip(&images);
    let whole = data::read_images(source(&good)).unwrap();
    assert_eq!((whole.count, whole.height, whole.width), (10, 4, 4));
    for length in 0..good.len() {
        assert!(data::read_images(source(&good[..length])).is_err(), "cut to {length} bytes");
    }
    let mut wrong_checksum = good.clone();
    wrong_checksum[good.len() - 8] ^= 1;
    assert!(matches!(data::read_images(source(&wrong_checksum)), Err(DataError::Unreadable { .. })));
    let more = gzip(&[&images[..], &[0]].concat());
    assert!(matches!(data::read_images(source(&more)), Err(DataError::Trailing { expected: 176, .. })));
    let garbage = [&good[..], b"garbage"].concat();
    assert!(data::read_images(source(&garbage)).is_err());
}

proptest! {
    #[test]
    fn any_images_come_back((count, height, width) in (1u32..9, 1u32..9, 1u32..9), seed: u8) {
        let pixels: Vec<u8> = (0..count * height * width).map(|i| seed.wrapping_add(i as u8)).collect();
        let file = idx(0x803, &[count, height, width], &pixels);
        let images = Images {
            count: count as usize, height: height as usize, width: width as usize, pixels,
        };
        prop_assert_eq!(&data::read_images(source(&file)).unwrap(), &images);
        prop_assert_eq!(&data::read_images(source(&gzip(&file))).unwrap(), &images);
    }

    #[test]
    fn a_file_cut_anywhere_or_with_more_at_its_end_is_refused(cut in 0usize..34, more in 1usize..5) {
        let file = idx(0x803, &[2, 3, 3], &[1; 18]);
        let is_truncated = matches!(
            data::read_images(source(&file[..cut])), Err(DataError::Truncated { .. })
        );
        prop_assert!(is_truncated);
        let longer = [file, vec![0; more]].concat();
        let is_trailing = matches!(
            data::read_images(source(&longer)), Err(DataError::Trailing { expected: 34, .. })
        );
        prop_assert!(is_trailing);
    }

    #[test]
    fn no_bytes_cause_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), known: bool) {
        if known && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&0x803u32.to_be_bytes());
        }
        let _ = data::read_images(source(&bytes));
        let _ = data::read_images(source(&bytes));
        let _ = data::read_images(source(&gzip(&bytes)));
        let _ = data::read_labels(source(&bytes));
    }
}
