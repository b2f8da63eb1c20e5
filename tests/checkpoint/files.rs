//! Files are whole, or not there, or as they were.

use std::{fs, path::Path};

use crate::{refused, snapshot};
use lookahead_wgpu::{Error, Snapshot};

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[track_caller]
fn fails<T: std::fmt::Debug>(outcome: Result<T, Error>, path: &Path) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_file_is_replaced_and_nothing_is_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    fs::write(&path, "something else, and longer than nothing").unwrap();
    snapshot().save(&path).unwrap();
    assert_eq!(Snapshot::load(&path).unwrap().to_bytes(), snapshot().to_bytes());
    let mut second = snapshot();
    second.steps = 1;
    second.save(&path).unwrap();
    assert_eq!(Snapshot::load(&path).unwrap().steps, 1);
    assert_eq!(names(folder.path()), ["run.safetensors"]);
}

#[cfg(unix)]
#[test]
fn a_file_is_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("run.safetensors"), folder.path().join("other"));
    snapshot().save(&path).unwrap();
    fs::write(&other, "").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&other));
}

#[test]
fn what_cannot_be_written_leaves_all_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    snapshot().save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    // No folder, and a file where the folder should be.
    let missing = folder.path().join("missing/run.safetensors");
    fails(snapshot().save(&missing), &missing);
    fails(snapshot().save(path.join("run.safetensors")), &path);
    // A folder where the file should be.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fails(snapshot().save(&taken), &taken);
    fails(snapshot().save("/"), Path::new("/"));
    // A snapshot that contradicts itself.
    let mut wrong = snapshot();
    wrong.tensors[0].shape = vec![7];
    refused(wrong.save(&path), &["has the shape [7]"]);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names(folder.path()), ["run.safetensors", "taken"]);
    assert_eq!(names(&taken), [""; 0]);
}

/// A folder in which nobody can write.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_is_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let proc = Path::new("/proc/run.safetensors");
    fails(snapshot().save(proc), proc);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    snapshot().save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write all the same.
    let is_root = fs::write(folder.path().join("probe"), "").is_ok();
    if !is_root {
        fails(snapshot().save(&path), &path);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(names(folder.path()), ["run.safetensors"]);
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

/// What a process leaves that is killed before the rename.
#[test]
fn a_temporary_file_is_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    snapshot().save(&path).unwrap();
    let left = folder.path().join(".run.safetensors.AbCdEf.tmp");
    fs::write(&left, &fs::read(&path).unwrap()[..100]).unwrap();
    assert_eq!(Snapshot::load(&path).unwrap().to_bytes(), snapshot().to_bytes());
    snapshot().save(&path).unwrap();
    assert_eq!(fs::metadata(&left).unwrap().len(), 100);
    refused(Snapshot::load(&left), &["AbCdEf", "cut short"]);
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    fails(Snapshot::load(&path), &path);
    fails(Snapshot::load(folder.path()), folder.path());
    fs::write(&path, "").unwrap();
    refused(Snapshot::load(&path), &["the file `", "run.safetensors` is no safetensors file"]);
    // Larger than any memory, and sparse; the header alone is read.
    if fs::File::options().write(true).open(&path).unwrap().set_len(1 << 43).is_ok() {
        refused(Snapshot::load(&path), &["its header is wrong"]);
        let header = br#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
        let start = [&(header.len() as u64).to_le_bytes(), &header[..]].concat();
        let mut file = fs::File::options().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &start).unwrap();
        refused(Snapshot::load(&path), &["bytes after the last value"]);
    }
    #[cfg(target_os = "linux")]
    fails(Snapshot::load("/dev/zero"), Path::new("/dev/zero"));
}
