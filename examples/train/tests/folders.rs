//! Finding a data set, and reading files that are packed, padded or of another kind.

use crate::data_sets::{gzip, idx, read, small_files, source, write_files};
use crate::fresh_folder;
use std::fs;
use train::data::{self, DataError};
use train::folder;

/// The small data set, with names of EMNIST's kind.
fn emnist(split: &str) -> [(String, Vec<u8>); 4] {
    small_files().map(|(name, bytes)| (format!("emnist-{split}-{}", name.replace("t10k", "test")), bytes))
}

fn write(folder: &std::path::Path, files: &[(String, Vec<u8>); 4]) {
    fs::create_dir_all(folder).unwrap();
    write_files(folder, &files.each_ref().map(|(name, bytes)| (name.as_str(), bytes.clone())));
}

#[test]
fn torchvisions_folders_are_found() {
    let folder = fresh_folder("torchvision");
    let raw = folder.join("MNIST/raw");
    fs::create_dir_all(&raw).unwrap();
    write_files(&raw, &small_files());
    for given in [&folder, &folder.join("MNIST"), &raw] {
        let dataset = read(given).unwrap();
        assert_eq!((dataset.name.as_str(), dataset.train.len()), ("MNIST", 3));
        assert!(folder::find(given).unwrap().paths.iter().all(|path| path.starts_with(&raw)));
    }
    let other = folder.join("FashionMNIST/raw");
    fs::create_dir_all(&other).unwrap();
    write_files(&other, &small_files());
    let problem = read(&folder).unwrap_err();
    assert!(matches!(&problem, DataError::Several { choices, .. } if choices.len() == 2), "{problem}");
    let message = problem.to_string();
    for name in ["--data", "FashionMNIST/raw`", "MNIST/raw`"] {
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(read(&folder.join("FashionMNIST")).unwrap().name, "FashionMNIST");
    // What lies deeper is not looked for.
    let deep = fresh_folder("too_deep");
    fs::create_dir_all(deep.join("a/b/c")).unwrap();
    write_files(&deep.join("a/b/c"), &small_files());
    assert!(matches!(read(&deep), Err(DataError::Missing { .. })));
}

#[test]
fn emnists_names_are_found_and_several_are_told_apart() {
    let folder = fresh_folder("emnist");
    write(&folder, &emnist("digits"));
    for given in [&folder, &folder.join("emnist-digits")] {
        assert_eq!(read(given).unwrap().name, "emnist-digits");
    }
    write(&folder, &emnist("balanced"));
    let message = read(&folder).unwrap_err().to_string();
    for name in ["--data", "emnist/emnist-balanced`", "emnist/emnist-digits`"] {
        assert!(message.contains(name), "{message}");
    }
    let found = folder::find(&folder.join("emnist-balanced")).unwrap();
    assert!(found.paths.iter().all(|path| path.to_str().unwrap().contains("emnist-balanced-")));
    assert_eq!(found.read().unwrap().test.labels, [1, 2]);
    assert!(matches!(read(&folder.join("emnist-letters")), Err(DataError::NoFolder { .. })));
    // MNIST's plain names go first.
    write_files(&folder, &small_files());
    assert_eq!(read(&folder).unwrap().name, "emnist");
    assert_eq!(read(&folder.join("emnist-digits")).unwrap().name, "emnist-digits");
    // A part of a set that is missing is named as the others are.
    fs::remove_file(folder.join("emnist-digits-test-labels-idx1-ubyte")).unwrap();
    let message = read(&folder.join("emnist-digits")).unwrap_err().to_string();
    assert!(message.contains("`emnist-digits-test-labels-idx1-ubyte`"), "{message}");
    // Letters are no digits.
    let mut letters = emnist("letters");
    letters[1].1 = idx(0x801, &[3], &[1, 26, 2]);
    write(&folder, &letters);
    let message = read(&folder.join("emnist-letters")).unwrap_err().to_string();
    assert!(message.contains("label 26") && message.contains("EMNIST"), "{message}");
}

#[test]
fn a_gzip_stream_may_have_zeros_after_it_and_several_members() {
    let images = idx(0x803, &[10, 4, 4], &(0..160).collect::<Vec<_>>());
    let whole = data::read_images(source(&images)).unwrap();
    let packed = gzip(&images);
    for zeros in [1, 7, 512, 100_000] {
        let padded = [&packed[..], &vec![0; zeros]].concat();
        assert_eq!(data::read_images(source(&padded)).unwrap(), whole);
    }
    for cut in [0, 3, 16, 100, images.len()] {
        let (first, second) = images.split_at(cut);
        let members = [gzip(first), gzip(second)].concat();
        assert_eq!(data::read_images(source(&members)).unwrap(), whole);
        let padded = [gzip(first), vec![0; 9], gzip(second), vec![0; 9]].concat();
        assert_eq!(data::read_images(source(&padded)).unwrap(), whole);
    }
    let more = [gzip(&images), gzip(&[0])].concat();
    assert!(matches!(data::read_images(source(&more)), Err(DataError::Trailing { .. })));
    for garbage in [&b"x"[..], b"\0\0x", b"\x1f", b"\x1f\x8b", b"\x1f\x00garbage"] {
        let wrong = [&packed[..], garbage].concat();
        let problem = data::read_images(source(&wrong)).unwrap_err();
        assert!(matches!(&problem, DataError::Unreadable { file, .. } if file == "a-file"), "{problem}");
    }
    let message = data::read_images(source(&[&packed[..], b"\0x"].concat())).unwrap_err().to_string();
    assert!(message.contains("0x78"), "{message}");
}

#[test]
fn a_name_does_not_say_whether_a_file_is_packed() {
    let folder = fresh_folder("misnamed");
    let [a, b, c, d] = small_files();
    let files = [("train-images-idx3-ubyte.gz", a.1), (b.0, gzip(&b.1)), (c.0, c.1), (d.0, d.1)];
    write_files(&folder, &files);
    assert_eq!(read(&folder).unwrap().train.labels, [0, 9, 5]);
    let page = b"<!DOCTYPE html><html>404 Not Found</html>".to_vec();
    write_files(&folder, &[("train-images-idx3-ubyte.gz", page.clone())]);
    let message = read(&folder).unwrap_err().to_string();
    assert!(message.contains("train-images-idx3-ubyte.gz") && message.contains("web page"), "{message}");
    write_files(&folder, &[("train-images-idx3-ubyte.gz", gzip(&page))]);
    let message = read(&folder).unwrap_err().to_string();
    assert!(message.contains("train-images-idx3-ubyte.gz") && message.contains("web page"), "{message}");
    for (other, word) in [(&b"PK\x03\x04...."[..], "zip"), (b"BZh9....", "bzip2"), (b"\xfd7zXZ\0..", "xz")] {
        write_files(&folder, &[("train-images-idx3-ubyte.gz", other.to_vec())]);
        let message = read(&folder).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
    write_files(&folder, &[("train-images-idx3-ubyte.gz", Vec::new())]);
    assert!(matches!(read(&folder), Err(DataError::Truncated { .. })));
    let cut = gzip(&small_files()[0].1);
    for length in [2, 5, 12, cut.len() - 9, cut.len() - 1] {
        write_files(&folder, &[("train-images-idx3-ubyte.gz", cut[..length].to_vec())]);
        let message = read(&folder).unwrap_err().to_string();
        assert!(message.contains("train-images-idx3-ubyte.gz") && message.contains("cut short"), "{message}");
    }
}
