//! Files.

use std::fs;

use experiments::draw::{DrawError, Measure, Quantity, by_method, curves, files};
use experiments::run::method::{Averaging, Inner, Method};
use experiments::run::record::Record;

use super::made::{probe, record, sgd};

const SETTINGS: &str =
    "preset,method,inner,lr,momentum,beta2,eps,decay,k,alpha,adaptive,average,clip,epochs,seed,device";

#[test]
fn points_have_settings_in_columns() {
    let with = sgd(0.1, 0.9).decay(0.0005).lookahead(5, 0.8);
    let adam = Method::new(Inner::Adam { beta2: 0.98, eps: 1e-9 }, 0.001)
        .clip(0.25)
        .average(Averaging::Ema { decay: 0.98 });
    let records = [record(&with, 3, &[0.0, f64::NAN], &[50.0]), record(&adam, 4, &[0.0], &[])];
    let columns = "epoch,epoch_lr,train_loss,valid_loss,valid_perplexity,valid_score,is_average,seconds";
    let expected = format!(
        "{SETTINGS},{columns}
made,Lookahead(SGD),sgd,0.1,0.9,,,0.0005,5,0.8,false,,,2,3,none,1,0.1,0,0,1,50,false,1.5
made,Lookahead(SGD),sgd,0.1,0.9,,,0.0005,5,0.8,false,,,2,3,none,2,0.1,NaN,NaN,NaN,,false,3
made,Adam,adam,0.001,,0.98,0.000000001,0,,,,ema,0.25,1,4,none,1,0.001,0,0,1,,false,1.5
"
    );
    assert_eq!(files::points(&records).unwrap(), expected);
    let expected = format!(
        "{SETTINGS},test_loss,test_perplexity,test_score,seconds
made,Adam,adam,0.001,,0.98,0.000000001,0,,,,ema,0.25,1,4,none,0,1,,1.5
"
    );
    assert_eq!(files::tests(&records[1..]).unwrap(), expected);
}

#[test]
fn names_with_commas_are_quoted() {
    let csv = files::points(&[record(&sgd(0.1, 0.9).adaptive(5, 0.5), 0, &[1.0], &[])]).unwrap();
    assert!(csv.contains("\nmade,\"Lookahead(SGD), adaptive alpha\",sgd,"), "{csv}");
}

#[test]
fn steps_and_planes() {
    let record =
        Record { probe: Some(probe(5, 2)), ..record(&sgd(0.1, 0.9).lookahead(5, 0.5), 0, &[1.0], &[]) };
    let records = [record];
    let read = |csv: &str| -> Vec<csv::StringRecord> {
        csv::Reader::from_reader(csv.as_bytes()).records().collect::<Result<_, _>>().unwrap()
    };
    let probe = records[0].probe.as_ref().unwrap();

    let steps = read(&files::steps(&records).unwrap());
    assert_eq!(steps.len(), probe.steps.len());
    for (row, inside) in steps.iter().zip(&probe.steps) {
        let expected = [
            "60".into(),
            inside.step.to_string(),
            inside.is_slow.to_string(),
            inside.scores.loss.to_string(),
        ];
        assert_eq!(row.iter().skip(16).take(4).collect::<Vec<_>>(), expected);
    }

    let planes = read(&files::planes(&records).unwrap());
    assert_eq!(planes.len(), 25 * 21 + 6 + 2);
    // The second row's third.
    let place = &planes[25 + 2];
    let score = probe.plane.scores[1][2].score.unwrap().to_string();
    let expected = ["plane", &probe.plane.x[2].to_string(), &probe.plane.y[1].to_string()];
    assert_eq!(place.iter().skip(17).take(3).collect::<Vec<_>>(), expected);
    assert_eq!(place.get(22), Some(&*score));
    let last = planes.last().unwrap();
    assert_eq!(last.iter().skip(17).collect::<Vec<_>>(), ["slow", "0.5", "0", "", "", ""]);
}

#[test]
fn without_runs_there_are_only_titles() {
    for csv in [files::points(&[]), files::tests(&[]), files::steps(&[]), files::planes(&[])] {
        assert_eq!(csv.unwrap().lines().count(), 1);
    }
    assert_eq!(files::json(&[]).unwrap(), "[]\n");
}

#[test]
fn json_comes_back() {
    let records = vec![record(&sgd(0.1, 0.9).lookahead(5, 0.8), 1, &[0.1 + 0.2, 1.0 / 3.0], &[50.0])];
    let back: Vec<Record> = serde_json::from_str(&files::json(&records).unwrap()).unwrap();
    assert_eq!(back, records);
    // JSON has no NaN.
    let diverged = [record(&sgd(0.1, 0.9), 1, &[f64::NAN], &[])];
    assert!(files::json(&diverged).unwrap().contains("\"train_loss\": null"));
}

#[test]
fn figures_are_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let records = [record(&sgd(0.1, 0.9), 0, &[2.0, 1.0], &[])];
    let picture = curves::draw(&by_method(&records), &[Measure::new(Quantity::ValidLoss, "loss")]).unwrap();
    // A folder that is not there yet, and a name with a dot.
    let stem = folder.path().join("figures").join("fig7.a");
    for _ in 0..2 {
        files::figure(&stem, &picture).unwrap();
    }
    let mut names: Vec<_> =
        fs::read_dir(folder.path().join("figures")).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["fig7.a.png", "fig7.a.svg"]);
    let png = image::open(folder.path().join("figures/fig7.a.png")).unwrap();
    assert_eq!((png.width(), png.height()), (800, 600));
    let svg = fs::read_to_string(folder.path().join("figures/fig7.a.svg")).unwrap();
    assert_eq!(svg, picture.svg().unwrap());
}

#[test]
fn a_file_that_cannot_be_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    files::save(&path, b"as it was").unwrap();
    let problem = files::save(&path.join("below"), b"new").unwrap_err();
    assert!(matches!(problem, DrawError::Write { .. }), "{problem}");
    assert!(problem.to_string().contains("taken/below` could not be written"), "{problem}");
    assert_eq!(fs::read(&path).unwrap(), b"as it was");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
