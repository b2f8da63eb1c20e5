use clap::{CommandFactory, Parser};
use std::path::Path;
use theory::arguments::{Arguments, Subject};
use theory::report::{Files, Outputs, ReportError, claims};
use train::paths::{self, PathError};

#[test]
fn what_it_says_is_understood() {
    let arguments = Arguments::try_parse_from(["theory", "fig4", "--json", "a.json"]).unwrap();
    assert_eq!(arguments.subject, Subject::Fig4);
    assert_eq!((arguments.out.as_path(), arguments.seed), (Path::new("theory"), 1));
    assert_eq!((arguments.json.as_deref(), arguments.adapter), (Some(Path::new("a.json")), None));
    assert!(Subject::All.includes(Subject::Prop2) && !Subject::Fig3.includes(Subject::Fig4));
    for bad in [&["theory"][..], &["theory", "fig5"], &["theory", "all", "--seed", "-1"]] {
        assert!(Arguments::try_parse_from(bad).is_err(), "{bad:?}");
    }
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.contains("cargo run --release -p theory -- all"));
    assert!(help.contains(&format!("{} repeats", theory::fig3::REPEATS)), "{help}");
    assert!(help.contains(&theory::prop2::REPEATS.to_string()), "{help}");
}

#[test]
fn two_outputs_on_one_path_are_refused_and_nothing_is_made() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("theory_paths");
    // It may not be there.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let out = folder.join("out");
    let check = |subject: &str, json: &Path| {
        let words = ["theory", subject, "--out", out.to_str().unwrap(), "--json", json.to_str().unwrap()];
        paths::check(&claims(&Arguments::try_parse_from(words).unwrap()))
    };
    for name in ["prop2_steps.csv", "fig4.png", "./fig4.svg", "../out/prop1.csv"] {
        let message = check("all", &out.join(name)).unwrap_err().to_string();
        assert!(message.contains("--json") && message.contains("--out"), "{message}");
    }
    assert!(matches!(check("fig4", &out), Err(PathError::Shared { .. })));
    assert!(check("fig4", &out.join("prop2_steps.csv")).is_ok());
    assert!(check("all", &out.join("all.json")).is_ok());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    #[cfg(unix)]
    {
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("fig4.csv"), "1").unwrap();
        std::os::unix::fs::symlink("fig4.csv", out.join("fig4.svg")).unwrap();
        std::fs::hard_link(out.join("fig4.csv"), folder.join("json")).unwrap();
        assert!(matches!(check("fig4", &folder.join("all.json")), Err(PathError::Shared { .. })));
        std::fs::remove_file(out.join("fig4.svg")).unwrap();
        assert!(matches!(check("fig4", &folder.join("json")), Err(PathError::Shared { .. })));
        assert!(check("fig4", &folder.join("all.json")).is_ok());
    }
}

#[test]
fn the_json_may_lie_in_the_folder_that_is_made() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("theory_json");
    // It may not be there.
    let _ = std::fs::remove_dir_all(&folder);
    let (out, json) = (folder.join("figures"), folder.join("figures/all.json"));
    let words = ["theory", "fig4", "--out", out.to_str().unwrap(), "--json", json.to_str().unwrap()];
    let outputs = Outputs::open(&Arguments::try_parse_from(words).unwrap()).unwrap();
    outputs.json.unwrap().write(b"{}").unwrap();
    assert_eq!(std::fs::read(&json).unwrap(), b"{}");
    assert_eq!(outputs.figures.map(|files| files.is_some()), [false, true, false, false]);
}

#[test]
fn files_that_cannot_be_written_are_named_before_any_work() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("theory_files");
    // It may not be there.
    let _ = std::fs::remove_dir_all(&folder);
    drop(Files::open(&folder.join("new"), "fig4", &["fig4"]).unwrap());
    // What got nothing written leaves nothing behind.
    assert_eq!(std::fs::read_dir(folder.join("new")).unwrap().count(), 0);
    let mut figure = theory::fig3::figure(&[]);
    figure.x.range = 0.1..1.0;
    figure.y.range = 0.1..1.0;
    let files = Files::open(&folder.join("new"), "fig3", &["fig3"]).unwrap();
    assert!(matches!(files.write(&figure, &[vec![]]), Err(ReportError::Plot(_))));
    figure.series[0].points = vec![(0.2, 0.3), (0.4, 0.5)];
    let files = Files::open(&folder.join("new"), "fig3", &["fig3"]).unwrap();
    let written = files.write(&figure, &[b"a,b\n".to_vec()]).unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["fig3.png", "fig3.svg", "fig3.csv"]);
    assert_eq!(std::fs::read(&written[2]).unwrap(), b"a,b\n");
    let file = folder.join("file");
    std::fs::write(&file, "x").unwrap();
    let problem = Files::open(&file, "fig4", &[]).err().unwrap();
    assert!(matches!(problem, ReportError::Folder { .. }), "{problem}");
    std::fs::create_dir(folder.join("new/fig4.png")).unwrap();
    let problem = Files::open(&folder.join("new"), "fig4", &[]).err().unwrap().to_string();
    assert!(problem.contains("fig4.png"), "{problem}");
}
