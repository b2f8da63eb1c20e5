use super::{message, write};
use experiments::data::DataError;
use experiments::data::idx;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

fn file(magic: u32, sizes: &[u32], payload: &[u8]) -> Vec<u8> {
    let words = [&[magic], sizes].concat();
    words.iter().flat_map(|word| word.to_be_bytes()).chain(payload.iter().copied()).collect()
}

fn images(count: u32) -> Vec<u8> {
    file(0x0803, &[count, 2, 3], &(0..count as u8 * 6).collect::<Vec<_>>())
}

fn labels(count: u32) -> Vec<u8> {
    file(0x0801, &[count], &(0..count as u8).collect::<Vec<_>>())
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn small(folder: &Path) {
    write(folder, "train-images-idx3-ubyte", images(4));
    write(folder, "train-labels-idx1-ubyte", labels(4));
    write(folder, "t10k-images-idx3-ubyte.gz", packed(&images(2)));
    write(folder, "t10k-labels-idx1-ubyte.gz", packed(&labels(2)));
}

#[test]
fn plain_and_packed_files_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    let set = idx::read(folder.path()).expect("a data set");
    assert_eq!((set.shape, set.classes), ([1, 2, 3], 10));
    assert_eq!(set.train.labels, [0, 1, 2, 3]);
    assert_eq!(set.test.pixels, (0..12).collect::<Vec<u8>>());
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    // Plain files are cut after each word of the header and in the data; packed ones before they are packed, as a
    // download of a packed file that stops shows in its stream (below).
    for (name, whole) in [("train-images-idx3-ubyte", images(4)), ("train-labels-idx1-ubyte", labels(4))] {
        for length in 0..whole.len() {
            let folder = tempfile::tempdir().expect("a folder");
            small(folder.path());
            write(folder.path(), name, &whole[..length]);
            let problem = idx::read(folder.path()).expect_err("an error");
            let is_truncated = matches!(&problem, DataError::Truncated { file, found, .. }
                if file.ends_with(name) && *found == length as u64);
            assert!(is_truncated, "{length}: {problem}");
        }
    }
}

#[test]
fn a_packed_stream_cut_anywhere_is_an_error() {
    let name = "t10k-images-idx3-ubyte.gz";
    let whole = packed(&images(2));
    for length in 0..whole.len() {
        let folder = tempfile::tempdir().expect("a folder");
        small(folder.path());
        write(folder.path(), name, &whole[..length]);
        message(idx::read(folder.path()), name);
    }
}

#[test]
fn foreign_files_are_told() {
    let cases: [(Vec<u8>, &str); 5] = [
        (labels(4), "0x00000801"),
        (b"<html><body>".to_vec(), "fetch it again"),
        ([images(4), vec![0]].concat(), "goes on"),
        (file(0x0803, &[0, 28, 28], &[]), "holds no pixels"),
        (file(0x0803, &[u32::MAX; 3], &[]), "more than the"),
    ];
    for (bytes, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        small(folder.path());
        write(folder.path(), "train-images-idx3-ubyte", bytes);
        let text = message(idx::read(folder.path()), "train-images-idx3-ubyte");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn images_and_labels_belong_together() {
    let cases: [(&str, Vec<u8>, &str); 3] = [
        ("train-labels-idx1-ubyte", labels(3), "4 images"),
        (
            "train-labels-idx1-ubyte",
            file(0x0801, &[4], &[0, 1, 10, 2]),
            "image 2 (counted from 0) the label 10",
        ),
        ("train-images-idx3-ubyte", file(0x0803, &[4, 1, 3], &[0; 12]), "images of 1 x 3"),
    ];
    for (name, bytes, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        small(folder.path());
        write(folder.path(), name, bytes);
        let text = message(idx::read(folder.path()), "train");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn missing_files_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = message(idx::read(folder.path()), "train-images-idx3-ubyte");
    assert!(text.contains("`train-images.idx3-ubyte.gz`"), "{text}");
}
