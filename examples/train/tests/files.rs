//! Which files the program reads, writes and refuses to write.

use crate::fresh_folder;
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};
use train::arguments::Arguments;
use train::checkpoint::{Checkpoint, CheckpointError};
use train::output::Output;
use train::paths::{self, Claim, PathError};

fn arguments(words: &[&str]) -> Arguments {
    Arguments::try_parse_from(["train"].iter().chain(words)).unwrap()
}

/// What is said of a command line with these files of data.
fn refusal(words: &[&str], data: &[PathBuf]) -> Option<String> {
    paths::check(&arguments(words).claims(data)).err().map(|problem| problem.to_string())
}

fn spelled(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

#[test]
fn two_outputs_on_one_path_are_refused_and_both_are_named() {
    let folder = spelled(fresh_folder("one_path"));
    let at = |name: &str| format!("{folder}/{name}");
    let (run, journal) = (at("run"), at("run.json"));
    for [[a, first], [b, second]] in [
        [["--checkpoint", &run], ["--json", &journal]],
        [["--checkpoint", &run], ["--plot", &journal]],
        [["--checkpoint", &run], ["--json", &run]],
        [["--checkpoint", &run], ["--plot", &run]],
        [["--json", &run], ["--plot", &run]],
    ] {
        for words in [[a, first, b, second], [b, second, a, first]] {
            let message = refusal(&words, &[]).unwrap();
            assert!(message.contains(a) && message.contains(b) && message.contains("one file"), "{message}");
        }
    }
    let different = ["--checkpoint", &run, "--json", &at("run2.json"), "--plot", &at("run.png")];
    assert_eq!(refusal(&different, &[]), None);
    assert!(fs::read_dir(&folder).unwrap().next().is_none());
}

#[cfg(unix)]
#[test]
fn a_path_is_known_again_however_it_is_spelled() {
    let folder = fresh_folder("spellings");
    let at = |name: &str| spelled(folder.join(name));
    fs::create_dir_all(folder.join("a/b")).unwrap();
    fs::write(folder.join("there"), "1").unwrap();
    fs::hard_link(folder.join("there"), folder.join("hard")).unwrap();
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
    link("there", "soft");
    link("soft", "softer");
    link("nowhere", "dangling");
    link("a/b", "folder");
    link("gone", "gone_folder");
    link("round", "round");
    let relative = pathdiff(&folder);
    for [first, second] in [
        [at("there"), at("./there")],
        [at("there"), at("a/../there")],
        [at("there"), at("a//b/../../there")],
        [at("there"), at("hard")],
        [at("there"), at("soft")],
        [at("hard"), at("softer")],
        [at("nowhere"), at("dangling")],
        [at("a/b/new"), at("folder/new")],
        // `..` leads to the folder of what the link leads to.
        [at("a/new"), at("folder/../new")],
        [at("gone/new"), at("gone_folder/./new")],
        [at("there"), relative.join("there").to_str().unwrap().to_owned()],
        [at("new"), relative.join("a/../new").to_str().unwrap().to_owned()],
    ] {
        let words = ["--json", &first, "--plot", &second];
        let message = refusal(&words, &[]).unwrap_or_else(|| panic!("{first} and {second} were taken"));
        assert!(message.contains("--json") && message.contains("--plot"), "{message}");
    }
    for [first, second] in [
        [at("there"), at("here")],
        [at("new"), at("folder/new")],
        [at("Case"), at("case")],
        [at("dangling"), at("there")],
    ] {
        assert_eq!(refusal(&["--json", &first, "--plot", &second], &[]), None);
    }
    let message = refusal(&["--json", &at("round")], &[]).unwrap();
    assert!(message.contains("--json") && message.contains("circle"), "{message}");
}

/// A folder relative to the working directory.
#[cfg(unix)]
fn pathdiff(folder: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap();
    let up = here.components().skip(1).map(|_| "..").collect::<PathBuf>();
    up.join(folder.strip_prefix("/").unwrap())
}

#[test]
fn an_output_may_not_be_an_input() {
    let folder = fresh_folder("inputs");
    let data = folder.join("train-labels-idx1-ubyte");
    fs::write(&data, "1").unwrap();
    for option in ["--json", "--plot", "--checkpoint"] {
        let message = refusal(&[option, &spelled(&data)], std::slice::from_ref(&data)).unwrap();
        assert!(message.contains(option) && message.contains("--data"), "{message}");
    }
    // The history of a checkpoint.
    let data = folder.join("labels.json");
    let message = refusal(&["--checkpoint", &spelled(folder.join("labels"))], &[data]).unwrap();
    assert!(message.contains("--checkpoint") && message.contains("--data"), "{message}");
    // Inputs may be one file.
    let twice = [Claim::input("--data", &folder), Claim::input("--data", &folder)];
    assert!(paths::check(&twice).is_ok());
}

#[test]
fn a_file_is_no_folder_for_another() {
    let folder = fresh_folder("nested");
    let claims = [Claim::folder("--out", folder.join("x/y")), Claim::output("--json", folder.join("x"))];
    assert!(matches!(paths::check(&claims), Err(PathError::Within { .. })));
    let claims = [Claim::folder("--out", folder.join("x")), Claim::output("--json", folder.join("x"))];
    assert!(matches!(paths::check(&claims), Err(PathError::Shared { .. })));
    let claims = [Claim::folder("--out", folder.join("x")), Claim::output("--json", folder.join("x/y"))];
    assert!(paths::check(&claims).is_ok());
}

#[test]
fn an_output_is_replaced_when_it_is_written_and_nothing_is_there_before() {
    let folder = fresh_folder("outputs");
    let count = || fs::read_dir(&folder).unwrap().count();
    let unmade = folder.join("unmade/");
    for impossible in [folder.join("none/a.json"), folder.clone(), folder.join(".."), unmade, PathBuf::new()]
    {
        assert!(Output::open(&impossible).is_err(), "{impossible:?}");
    }
    let new = folder.join("new.json");
    let opened = Output::open(&new).unwrap();
    // So a signal that ends the program leaves nothing.
    assert_eq!(count(), 0);
    opened.write(b"0123456789").unwrap();
    let again = Output::open(&new).unwrap();
    assert_eq!(fs::read(&new).unwrap(), b"0123456789");
    drop(again);
    assert_eq!(fs::read(&new).unwrap(), b"0123456789");
    Output::open(&new).unwrap().write(b"abc").unwrap();
    assert_eq!(fs::read(&new).unwrap(), b"abc");
    assert_eq!(count(), 1);
}

#[cfg(unix)]
#[test]
fn an_output_keeps_its_mode_its_links_and_its_kind() {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
    let folder = fresh_folder("kinds");
    let file = folder.join("file");
    fs::write(&file, "1").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let link = folder.join("link");
    symlink("file", &link).unwrap();
    Output::open(&link).unwrap().write(b"2").unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!((fs::read(&file).unwrap(), file.metadata().unwrap().mode() & 0o777), (b"2".to_vec(), 0o640));
    // A new file is as any program's.
    let [new, usual] = ["new", "usual"].map(|name| folder.join(name));
    Output::open(&new).unwrap().write(b"3").unwrap();
    fs::write(&usual, "3").unwrap();
    assert_eq!(new.metadata().unwrap().mode(), usual.metadata().unwrap().mode());
    let dangling = folder.join("dangling");
    symlink("made", &dangling).unwrap();
    Output::open(&dangling).unwrap().write(b"4").unwrap();
    assert_eq!(fs::read(folder.join("made")).unwrap(), b"4");
    let null = Path::new("/dev/null");
    Output::open(null).unwrap().write(b"5").unwrap();
    assert!(null.metadata().unwrap().file_type().is_char_device());
    let full = Path::new("/dev/full");
    if full.exists() {
        assert!(Output::open(full).unwrap().write(b"6").is_err());
        assert!(full.metadata().unwrap().file_type().is_char_device());
    }
}

#[test]
fn what_no_checkpoint_can_replace_is_refused_before_any_step() {
    let folder = fresh_folder("unfit_checkpoints");
    let settings = arguments(&[]).settings().unwrap().remove(0);
    let refused = |path: &Path, what: &str| {
        let checkpoint = Checkpoint::new(path, "digits", &settings).unwrap();
        for is_resumed in [false, true] {
            let problem = checkpoint.start(is_resumed).unwrap_err();
            assert!(matches!(problem, CheckpointError::Unfit { .. }), "{problem}");
            assert!(problem.to_string().contains(what), "{problem}");
        }
    };
    refused(&folder, "a folder");
    #[cfg(unix)]
    {
        refused(Path::new("/dev/null"), "no regular file");
        let dangling = folder.join("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        refused(&dangling, "a symbolic link that leads nowhere");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}

#[test]
fn a_checkpoint_leaves_a_file_alone_that_is_no_history_of_one() {
    let folder = fresh_folder("unrelated_json");
    let (path, journal) = (folder.join("foo"), folder.join("foo.json"));
    let settings = arguments(&[]).settings().unwrap().remove(0);
    let checkpoint = Checkpoint::new(&path, "digits", &settings).unwrap();
    for unrelated in ["{\"mine\": 1}", "", "words"] {
        fs::write(&journal, unrelated).unwrap();
        for is_resumed in [false, true] {
            let problem = checkpoint.start(is_resumed).unwrap_err();
            assert!(matches!(problem, CheckpointError::Taken { .. }), "{problem}");
            assert!(problem.to_string().contains("foo.json"), "{problem}");
        }
        assert_eq!(fs::read_to_string(&journal).unwrap(), unrelated);
    }
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    assert!(matches!(checkpoint.start(false), Err(CheckpointError::Taken { .. })));
    fs::remove_dir(&journal).unwrap();
    assert!(matches!(checkpoint.start(false), Ok(None)));
    // Where no file can be made, that shows before any step.
    let nowhere = Checkpoint::new(&folder.join("none/run"), "digits", &settings).unwrap();
    assert!(matches!(nowhere.start(false), Err(CheckpointError::Output(_))));
    assert!(fs::read_dir(&folder).unwrap().next().is_none());
}
