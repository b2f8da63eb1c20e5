//! Files are whole, or not there, or as they were.

use std::{fs, path::Path};

use super::{refused, snapshot};
use lookahead_wgpu::{Error, Field, Optimizer, Snapshot, rules::Sgd, wgpu};

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
    fs::write(&path, "").unwrap();
    snapshot().save(&path).unwrap();
    assert_eq!(Snapshot::load(&path).unwrap().to_bytes(), snapshot().to_bytes());
    let mut second = snapshot();
    second.steps = 1;
    second.save(&path).unwrap();
    assert_eq!(Snapshot::load(&path).unwrap().steps, 1);
    assert_eq!(names(folder.path()), ["run.safetensors"]);
}

#[track_caller]
fn occupied(outcome: Result<(), Error>, path: &Path, what: &str) {
    let error = outcome.unwrap_err();
    let Error::Occupied { path: told, found } = &error else { panic!("{error:?}") };
    assert_eq!(told, path.to_str().unwrap());
    assert!(found.contains(what), "{found}");
}

/// A notebook, weights, another run's journal: whatever has the name by accident.
#[test]
fn files_of_other_kinds_are_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let builder = Optimizer::builder(Sgd::new(0.1)).tensor("w", &[2]);
    let optimizer = builder.build_blocking(&device, &queue).unwrap();
    fs::write(path("text"), "something else, and longer than nothing").unwrap();
    fs::write(path("short"), "x").unwrap();
    optimizer.save_weights_blocking(path("weights"), Field::Weights).unwrap();
    snapshot().save(path("checkpoint")).unwrap();
    let weights = |name: &str| optimizer.save_weights_blocking(path(name), Field::Weights);
    for (name, saved, told) in [
        ("text", "checkpoint", "another kind: it is no safetensors file"),
        ("short", "checkpoint", "it has 1 bytes"),
        ("weights", "checkpoint", "no checkpoint"),
        ("text", "weights", "another kind: it is no safetensors file"),
        ("checkpoint", "weights", "a checkpoint, with more than weights"),
    ] {
        let before = fs::read(path(name)).unwrap();
        let outcome = if saved == "weights" { weights(name) } else { snapshot().save(path(name)) };
        occupied(outcome, &path(name), told);
        assert_eq!(fs::read(path(name)).unwrap(), before);
    }
    // Each over its own kind, and over any where that is asked for.
    weights("weights").unwrap();
    snapshot().save(path("checkpoint")).unwrap();
    snapshot().save_over(path("text")).unwrap();
    assert_eq!(Snapshot::load(path("text")).unwrap().to_bytes(), snapshot().to_bytes());
    optimizer.save_weights_over_blocking(path("text"), Field::Weights).unwrap();
    weights("text").unwrap();
    assert_eq!(names(folder.path()), ["checkpoint", "short", "text", "weights"]);
}

#[cfg(unix)]
#[test]
fn devices_pipes_sockets_and_folders_stay_what_they_are() {
    use std::os::unix::fs::FileTypeExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let kind = |path: &Path| fs::symlink_metadata(path).unwrap().file_type();
    fs::create_dir(path("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/full", path("link")).unwrap();
    for (path, told) in [
        (path("folder"), "a folder"),
        (path("socket"), "a socket"),
        (path("pipe"), "a pipe"),
        ("/dev/null".into(), "a device"),
        ("/dev/full".into(), "a device"),
        (path("link"), "a device"),
    ] {
        let before = kind(&path);
        occupied(snapshot().save(&path), &path, told);
        occupied(snapshot().save_over(&path), &path, told);
        assert_eq!(kind(&path), before);
    }
    assert!(kind(Path::new("/dev/full")).is_char_device() && kind(Path::new("/dev/null")).is_char_device());
    assert_eq!(names(folder.path()), ["folder", "link", "pipe", "socket"]);
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    use std::os::unix::fs::symlink;
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, file) = (folder.path().join("latest"), other.path().join("run.safetensors"));
    symlink(&file, &link).unwrap();
    occupied(snapshot().save(&link), &link, "a symbolic link that leads nowhere");
    snapshot().save(&file).unwrap();
    let mut second = snapshot();
    second.steps = 1;
    second.save(&link).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Snapshot::load(&file).unwrap().steps, 1);
    assert_eq!((names(folder.path()).len(), names(other.path()).len()), (1, 1));
}

#[cfg(unix)]
#[test]
fn the_mode_of_a_file_is_kept() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    snapshot().save(&path).unwrap();
    for mode in [0o640, 0o600, 0o664, 0o444, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        snapshot().save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode, "{mode:o}");
    }
    // Root may give a file away, and then saves it as its owner's.
    if chown(&path, Some(65534), Some(65534)).is_ok() {
        snapshot().save(&path).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (65534, 65534, 0o644));
    }
}

/// What is saved is saved, even where the folder cannot be flushed after it. Root may read any folder, so that it
/// runs this test anew as another user.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_read() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    const FOLDER: &str = "LOOKAHEAD_TEST_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let path = Path::new(&folder).join("run.safetensors");
        snapshot().save(&path).unwrap();
        snapshot().save(&path).unwrap();
        assert_eq!(Snapshot::load(&path).unwrap().to_bytes(), snapshot().to_bytes());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let is_root = std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).is_ok();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o300)).unwrap();
    // Where the test lies, the other user may not come.
    let program = Path::new("/tmp").join(format!("lookahead-test-{}", std::process::id()));
    let test = std::env::current_exe().unwrap();
    fs::copy(&test, &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(["--exact", "checkpoint::files::a_folder_that_cannot_be_read"]).env(FOLDER, folder.path());
    if is_root {
        command.uid(65534).gid(65534);
    }
    let output = command.current_dir("/").output().unwrap();
    fs::remove_file(&program).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
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
    occupied(snapshot().save(&taken), &taken, "a folder");
    occupied(snapshot().save("/"), Path::new("/"), "a folder");
    occupied(snapshot().save(".."), Path::new(".."), "a folder");
    fails(snapshot().save(""), Path::new(""));
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
