//! Ranks, all ranks or the launcher are killed, also in the midst of a write; a run that goes on ends with the bits of one
//! that was never stopped.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use lookahead_mpi::{
    Streaming, Wire, Workers,
    mpi::{Threading, traits::Communicator},
};
use lookahead_wgpu::{Lookahead, Optimizer, outer::Nesterov, rules::Adam};

use crate::{
    launch::{is_worker, run, test_command, text, work},
    model::{build, build_in_groups, gpu, scripted, step},
};

const STEPS: u64 = 18;
const PERIOD: u32 = 3;

/// What the ranks of these tests do: they train, save each round in a folder, and die where they are told to.
#[test]
fn trainer() {
    if !is_worker() {
        return;
    }
    work(Threading::Multiple, |world| {
        let variable = |name: &str| std::env::var(name).ok();
        let number = |text: &str| text.parse::<u64>().unwrap();
        let folder = variable("TRAINER_FOLDER").unwrap();
        let steps = variable("TRAINER_STEPS").map_or(STEPS, |steps| number(&steps));
        // `1:7`: rank 1 dies before its step 7; `all:7`: all do.
        let dies = variable("TRAINER_DIES");
        let dies = dies.as_deref().and_then(|text| text.split_once(':'));
        let (gpu, rank) = (gpu(), world.rank() as usize);
        fs::write(Path::new(&folder).join(format!("pid-{rank}")), std::process::id().to_string()).unwrap();
        let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(PERIOD, 0.7));
        let builder = builder.outer(Nesterov { momentum: 0.9 });
        let mut workers = Workers::builder(world).wire(Wire::Int8);
        let mut optimizer = if variable("TRAINER_STREAMS").is_some() {
            workers = workers.period(6).streaming(Streaming::new(1));
            build_in_groups(&gpu, builder)
        } else {
            build(&gpu, builder)
        };
        let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        let restored = workers.restore(&mut optimizer, &folder).unwrap();
        if let (0, Some(restored)) = (rank, restored) {
            println!("from round {} of {} ranks", restored.round, restored.ranks);
            restored.passed_over.iter().for_each(|problem| println!("passed over: {problem}"));
        }
        while optimizer.steps() < steps {
            let at = optimizer.steps();
            if dies
                .is_some_and(|(who, when)| number(when) == at && (who == "all" || number(who) == rank as u64))
            {
                kill(&std::process::id().to_string());
            }
            if let Some(milliseconds) = variable("TRAINER_SLEEPS") {
                sleep(Duration::from_millis(number(&milliseconds)));
            }
            if step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at)).is_some() {
                workers.save(&optimizer, &folder).unwrap();
            }
        }
        let hash = workers.check(&optimizer).unwrap();
        if rank == 0 {
            println!("final {hash:016x}");
        }
    });
}

/// As nothing can be caught of: at once.
fn kill(process: &str) {
    let status = Command::new("kill").args(["-9", process]).status().unwrap();
    assert!(status.success());
    // A signal to oneself may take a moment.
    if process == std::process::id().to_string() {
        sleep(Duration::from_secs(60));
    }
}

fn trainers(ranks: usize, folder: &Path, more: &[(&str, &str)]) -> Command {
    let mut variables = vec![("TRAINER_FOLDER", folder.display().to_string())];
    variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    test_command(ranks, "faults::trainer", &variables)
}

/// The hash at the end of a run that goes well, and all that it said.
fn finished(ranks: usize, folder: &Path) -> (String, String) {
    finished_with(ranks, folder, &[])
}

fn finished_with(ranks: usize, folder: &Path, more: &[(&str, &str)]) -> (String, String) {
    let output = run(&mut trainers(ranks, folder, more));
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.split("final ").nth(1));
    (line.unwrap_or_else(|| panic!("no hash in:\n{text}")).to_owned(), text)
}

/// Of so many ranks that nothing happens to.
fn undisturbed(ranks: usize) -> String {
    finished(ranks, tempfile::tempdir().unwrap().path()).0
}

fn killed(ranks: usize, folder: &Path, dies: &str) {
    let output = run(&mut trainers(ranks, folder, &[("TRAINER_DIES", dies)]));
    assert!(!output.status.success(), "{}", text(&output));
}

#[test]
fn a_rank_or_all_of_them_are_killed() {
    if is_worker() {
        return;
    }
    let expected = undisturbed(3);
    let folder = tempfile::tempdir().unwrap();
    for (dies, round) in [("1:7", 2), ("all:11", 3), ("0:16", 5)] {
        killed(3, folder.path(), dies);
        let newest = format!("round-{round:08}.of-3.safetensors");
        assert!(folder.path().join(&newest).exists(), "{newest} after {dies}");
    }
    let (hash, said) = finished(3, folder.path());
    assert!(said.contains("from round 5 of 3 ranks"), "{said}");
    assert_eq!(hash, expected);
}

// Faults: a place in the timetable that is not the run's; what int8 has yet to send of one fragment taken for another's.
#[test]
fn a_run_of_streamed_fragments_goes_on_within_a_period() {
    if is_worker() {
        return;
    }
    const STREAMS: (&str, &str) = ("TRAINER_STREAMS", "1");
    let expected = finished_with(2, tempfile::tempdir().unwrap().path(), &[STREAMS]).0;
    let folder = tempfile::tempdir().unwrap();
    // Fragments are merged after 3, 5, 7, 9, ... steps; one is under way in the second death.
    for (dies, round) in [("all:8", 3), ("1:10", 4), ("all:14", 6)] {
        let more = [STREAMS, ("TRAINER_DIES", dies)];
        assert!(!run(&mut trainers(2, folder.path(), &more)).status.success());
        assert!(folder.path().join(format!("round-{round:08}.of-2.safetensors")).exists(), "{dies}");
    }
    let (hash, said) = finished_with(2, folder.path(), &[STREAMS]);
    assert!(said.contains("from round 6 of 2 ranks"), "{said}");
    assert_eq!(hash, expected);
}

#[test]
fn the_launcher_is_killed() {
    if is_worker() {
        return;
    }
    let expected = undisturbed(2);
    let folder = tempfile::tempdir().unwrap();
    let mut command = trainers(2, folder.path(), &[("TRAINER_SLEEPS", "200")]);
    let mut launcher = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let second = folder.path().join("round-00000002.of-2.safetensors");
    wait_for("the second round", || second.exists());
    kill(&launcher.id().to_string());
    launcher.wait().unwrap();
    // Ranks notice that by themselves; one that did not would be in the way of those to come.
    for rank in 0..2 {
        let process = fs::read_to_string(folder.path().join(format!("pid-{rank}"))).unwrap();
        wait_for("the ranks' end", || !runs(&process));
    }
    let (hash, said) = finished(2, folder.path());
    assert!(said.contains("from round "), "{said}");
    assert_eq!(hash, expected);
}

fn runs(process: &str) -> bool {
    // A process that nobody has waited for yet is no more.
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(120), "waiting for {what}");
        sleep(Duration::from_millis(20));
    }
}

// What a kill in the midst of a save leaves: files of a round without the one that commits it, temporary ones, and, from a
// disk that lied, one cut short.
#[test]
fn a_save_that_was_cut_short_is_passed_over() {
    if is_worker() {
        return;
    }
    let expected = undisturbed(3);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    killed(3, folder.path(), "all:12");
    assert!(file("round-00000004.of-3.safetensors").exists());

    fs::remove_file(file("round-00000004.of-3.safetensors")).unwrap();
    fs::write(file(".round-00000004.of-3.safetensors.x1.tmp"), [0; 100]).unwrap();
    killed(3, folder.path(), "2:10");
    // From round 3 and to step 10, without another round.
    assert!(!file("round-00000004.of-3.safetensors").exists());

    killed(3, folder.path(), "all:13");
    let cut = file("round-00000004.rank-2.safetensors");
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let (hash, said) = finished(3, folder.path());
    assert!(
        said.contains("from round 3 of 3 ranks") && said.contains("passed over: round 4, rank 2"),
        "{said}"
    );
    assert_eq!(hash, expected);
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    if is_worker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    killed(3, folder.path(), "all:8");
    for ranks in [2, 4] {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let (hash, said) = finished(ranks, copy.path());
        assert!(said.contains("from round 2 of 3 ranks"), "{said}");
        assert_ne!(hash, undisturbed(3));
        // What came of it is read by as many ranks, bit for bit.
        assert_eq!(finished(ranks, copy.path()).0, hash);
    }
}
