use super::{message, write};
use experiments::data::imagenet::list;
use std::path::Path;

fn small(folder: &Path) {
    for name in ["n02/b.JPEG", "n02/a.JPEG", "n01/c.jpg", "n01/notes.txt"] {
        write(folder, &format!("train/{name}"), "");
    }
    write(folder, "val/n02/d.png", "");
    write(folder, "val/n01/e.JPEG", "");
}

#[test]
fn images_are_listed_by_class() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    let listing = list(folder.path()).expect("a listing");
    assert_eq!(listing.classes, ["n01", "n02"]);
    let names: Vec<_> = listing
        .train
        .iter()
        .map(|entry| (entry.path.file_name().expect("a name").to_string_lossy().into_owned(), entry.label))
        .collect();
    assert_eq!(names, [("c.jpg".to_owned(), 0), ("a.JPEG".to_owned(), 1), ("b.JPEG".to_owned(), 1)]);
    assert_eq!(listing.test.iter().map(|entry| entry.label).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn what_is_missing_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    assert!(message(list(&path.join("no")), "no").contains("not a folder"));
    assert!(message(list(path), "train").contains("train/CLASS/*.JPEG"));
    write(path, "val/n01/e.JPEG", "");
    write(path, "train/readme.txt", "");
    assert!(message(list(path), "train").contains("no folder of a class"));
    write(path, "train/n01/notes.txt", "");
    assert!(message(list(path), "n01").contains("no images"));
}

#[test]
fn what_is_foreign_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    write(folder.path(), "val/n03/f.JPEG", "");
    assert!(message(list(folder.path()), "val").contains("the class `n03`, which is none of them"));

    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "train/n01/a.JPEG", "");
    write(folder.path(), "val/ILSVRC2012_val_00000001.JPEG", "");
    assert!(message(list(folder.path()), "val").contains("side by side"));
}
