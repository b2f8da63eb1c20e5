use super::{message, write};
use experiments::data::DataError;
use experiments::data::cifar::{CIFAR_10, CIFAR_100, Format};
use std::path::Path;

const RECORDS: usize = 2;
const PIXELS: usize = 3 * 32 * 32;
const SMALL_10: Format = Format { train_records: RECORDS, test_records: RECORDS, ..CIFAR_10 };
const SMALL_100: Format = Format { train_records: RECORDS, test_records: RECORDS, ..CIFAR_100 };

/// A record whose pixel `i` is `start + i`, modulo 251.
fn record(labels: &[u8], start: usize) -> Vec<u8> {
    labels.iter().copied().chain((0..PIXELS).map(|pixel| ((start + pixel) % 251) as u8)).collect()
}

fn batch(format: &Format, start: usize) -> Vec<u8> {
    let label = |index: usize| format.classes.iter().map(move |classes| ((start + index) % classes) as u8);
    (0..RECORDS).flat_map(|index| record(&label(index).collect::<Vec<_>>(), start + index)).collect()
}

fn small(format: &Format, folder: &Path) {
    for (index, file) in format.train.iter().chain([&format.test]).enumerate() {
        write(folder, file, batch(format, 10 * index));
    }
}

#[test]
fn records_are_read_in_order() {
    for (format, classes) in [(SMALL_10, 10), (SMALL_100, 100)] {
        let folder = tempfile::tempdir().expect("a folder");
        small(&format, folder.path());
        let set = format.read(folder.path()).expect("a data set");
        assert_eq!((set.shape, set.classes), ([3, 32, 32], classes));
        assert_eq!(set.train.len(), RECORDS * format.train.len());
        let files = 0..format.train.len();
        let labels: Vec<_> = files
            .flat_map(|file| (0..RECORDS).map(move |index| ((10 * file + index) % classes) as u8))
            .collect();
        assert_eq!(set.train.labels, labels);
        let last = 10 * format.train.len();
        assert_eq!(set.test.pixels[..PIXELS], record(&[], last)[..]);
        assert_eq!(set.test.pixels[PIXELS..], record(&[], last + 1)[..]);
    }
}

#[test]
fn the_folder_that_the_archive_makes_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    small(&SMALL_10, &folder.path().join("cifar-10-batches-bin"));
    assert!(SMALL_10.read(folder.path()).is_ok());
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    for format in [SMALL_10, SMALL_100] {
        let labels = format.classes.len();
        let record = labels + PIXELS;
        let whole = batch(&format, 0);
        for length in [0, 1, labels, labels + 1, record - 1, record, record + labels, 2 * record - 1] {
            let folder = tempfile::tempdir().expect("a folder");
            small(&format, folder.path());
            write(folder.path(), format.test, &whole[..length]);
            let problem = format.read(folder.path()).expect_err("an error");
            let DataError::Truncated { file, expected, found, .. } = problem else { panic!("{problem}") };
            assert!(file.ends_with(format.test));
            assert_eq!((found, expected), (length as u64, 2 * record as u64));
        }
    }
}

#[test]
fn what_goes_on_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    small(&SMALL_10, folder.path());
    write(folder.path(), "data_batch_3.bin", [batch(&SMALL_10, 0), vec![0]].concat());
    assert!(message(SMALL_10.read(folder.path()), "data_batch_3.bin").contains("6147"));
}

#[test]
fn labels_are_classes() {
    let folder = tempfile::tempdir().expect("a folder");
    small(&SMALL_100, folder.path());
    let cases = [([20, 0], "label 20; labels are 0 to 19"), ([0, 100], "label 100; labels are 0 to 99")];
    for (labels, expected) in cases {
        write(folder.path(), "test.bin", [record(&[0, 0], 0), record(&labels, 0)].concat());
        let text = message(SMALL_100.read(folder.path()), "test.bin");
        assert!(text.contains("image 1") && text.contains(expected), "{text}");
    }
}

#[test]
fn foreign_files_are_told() {
    let cases: [(&[u8], &str); 4] = [
        (&[0x1f, 0x8b, 8, 0], "unpack it"),
        (&[0x80, 2, b'}', b'q'], "take the binary version"),
        (b"<!DOCTYPE html>", "web page"),
        (b"PK\x03\x04", "zip"),
    ];
    for (head, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        small(&SMALL_10, folder.path());
        write(folder.path(), "data_batch_1.bin", head);
        let text = message(SMALL_10.read(folder.path()), "data_batch_1.bin");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn missing_files_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = message(CIFAR_10.read(&folder.path().join("no")), "no");
    assert!(text.contains("not a folder"), "{text}");
    let text = message(CIFAR_10.read(folder.path()), "data_batch_1.bin");
    assert!(text.contains("cifar-10-batches-bin"), "{text}");
    write(folder.path(), "data_batch_1", "");
    let text = message(CIFAR_10.read(folder.path()), "data_batch_1.bin");
    assert!(text.contains("Python version"), "{text}");
}

#[test]
fn moments_are_of_each_channel() {
    let folder = tempfile::tempdir().expect("a folder");
    small(&SMALL_100, folder.path());
    let plane = |value: u8| vec![value; 32 * 32];
    let image = |values: [u8; 3]| [vec![0, 0], values.map(plane).concat()].concat();
    write(folder.path(), "train.bin", [image([0, 51, 255]), image([102, 51, 255])].concat());
    let moments = SMALL_100.read(folder.path()).expect("a data set").moments();
    for ((mean, deviation), expected) in moments.into_iter().zip([(0.2, 0.2), (0.2, 0.0), (1.0, 0.0)]) {
        assert!(
            (mean - expected.0).abs() < 1e-12 && (deviation - expected.1).abs() < 1e-7,
            "{mean} {deviation}"
        );
    }
}
