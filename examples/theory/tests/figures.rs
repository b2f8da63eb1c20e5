use crate::turn;
use lookahead_test_support::{gpu, on_every_adapter};
use theory::plot::{Colour, Mark, PlotError, Series};
use theory::report::{Findings, csv, prop1_rows};
use theory::simulate::Simulator;
use theory::{fig3, fig4, prop1, prop2};

#[test]
fn the_gpu_finds_the_clipped_estimate_of_alpha() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        let mut calls = 0;
        let loops = prop1::compute(gpu, &mut || calls += 1).unwrap();
        assert_eq!((calls, loops.len()), (prop1::work(), 2));
        for found in &loops {
            assert!((found.measured - found.alpha_hat).abs() < 1e-5, "{found:?}");
            let least = found.losses.iter().min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap();
            assert!((least.alpha - found.alpha_star).abs() < 0.02, "{found:?}");
        }
        assert!(prop1::table(&loops).lines().all(|line| line.len() <= 100));
        // One of them is clipped, the other is not.
        assert_eq!(loops[0].measured, 1.0);
        assert!(loops[1].alpha_star < 1.0 && loops[1].measured < 1.0);
    });
}

#[test]
fn figure_4_has_the_known_rates_and_every_output() {
    let _turn = turn();
    let mut calls = 0;
    let simulator = Simulator::new(gpu()).unwrap();
    let points = fig4::compute(&simulator, &mut || calls += 1).unwrap();
    assert_eq!(calls, fig4::work());
    let at = |kappa: f64| points.iter().filter(move |point| point.kappa == kappa);
    let known = [("cm", 0.0050), ("maintain", 0.0103), ("interpolate", 0.0179), ("reset", 0.0292)];
    for (point, (method, rate)) in at(10.0).zip(known) {
        assert_eq!(point.method, method);
        // The learning rate is refined, where the known figures are of a grid: never worse.
        assert!(point.rate > rate - 5e-5 && point.rate < 1.02 * rate, "{point:?}");
    }
    assert!(fig4::largest_error(&points) < 1e-3);
    assert!(fig4::table(&points).lines().all(|line| line.len() <= 100));

    let figure = fig4::figure(&points).unwrap();
    let png = figure.png().unwrap();
    let info = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
    assert_eq!(info.info().width, 1000);
    assert_eq!(info.info().pixel_dims.unwrap().xppu, 11_811);
    assert!(png.len() < 150_000);
    let svg = figure.svg().unwrap();
    assert!(svg.contains("width=\"85.00mm\""));
    for words in ["condition number", "Lookahead, reset", "under-damped", "over-damped"] {
        assert!(svg.contains(words), "{words}");
    }

    let table = String::from_utf8(csv(&points).unwrap()).unwrap();
    assert!(table.starts_with("kappa,method,rate,learning_rate,measured\n"));
    assert_eq!(table.lines().count(), points.len() + 1);
    let json = serde_json::to_value(Findings { fig4: Some(points), ..Default::default() }).unwrap();
    assert_eq!(json["fig4"][0]["method"], "cm");
    assert!(json["fig4"][0]["rate"].is_f64() && json["fig4"][0]["kappa"].is_f64());
    assert_eq!(json.as_object().unwrap().len(), 1);
}

#[test]
fn the_other_figures_are_drawn_and_written() {
    let row = prop2::Row {
        k: 10,
        alpha: 0.5,
        gamma: 0.5,
        a: 0.25,
        sigma: 1.0,
        v_sgd: 0.0667,
        v_la: 0.0258,
        measured: 0.0259,
        stderr: 1e-4,
        steps: 100,
        repeats: 1024,
    };
    assert!((prop2::deviations(std::slice::from_ref(&row))[0] - 1.0).abs() < 1e-9);
    let step = |step, variance, is_before_sync| prop2::Step {
        method: "lookahead",
        step,
        is_before_sync,
        variance,
        measured: variance,
        stderr: 1e-4,
    };
    let steps = vec![step(0, 0.0, false), step(10, 0.06, true), step(10, 0.02, false)];
    let outcome = prop2::Outcome { rows: vec![row], steps };
    let svg = prop2::figure(&outcome).svg().unwrap();
    assert!(svg.contains("variance of a weight") && svg.contains("fixed points"));
    let header = "k,alpha,gamma,a,sigma,v_sgd,v_la,measured,stderr,steps,repeats\n";
    assert!(String::from_utf8(csv(&outcome.rows).unwrap()).unwrap().starts_with(header));
    assert!(prop2::table(&outcome.rows).lines().all(|line| line.len() <= 100));

    let point = |gamma, alpha: Option<f64>| fig3::Point {
        method: if alpha.is_some() { "lookahead" } else { "sgd" },
        k: alpha.map(|_| 5),
        alpha,
        gamma,
        loss: 0.3,
        excess: 0.05 + gamma,
        measured: alpha,
        stderr: alpha.map(|_| 0.1),
    };
    let points = [point(0.1, None), point(0.2, None), point(0.1, Some(0.5))];
    assert!(fig3::figure(&points).svg().unwrap().contains("expected loss above minimum"));
    assert_eq!(fig3::deviations(&points).len(), 1);
    assert!(fig3::table(&points).contains("standard errors"));

    let found = prop1::Loop {
        inner: "sgd",
        learning_rate: 0.1,
        momentum: 0.0,
        k: 5,
        theta_0: vec![0.0; 2],
        theta_k: vec![1.0; 2],
        alpha_star: 0.5,
        alpha_hat: 0.4,
        measured: 0.4,
        losses: [0.0, 1.0, 2.0].map(|alpha| prop1::Loss { alpha, loss: 1.0 + alpha }).into(),
    };
    let rows = String::from_utf8(csv(prop1_rows(std::slice::from_ref(&found))).unwrap()).unwrap();
    assert_eq!(rows.lines().nth(1).unwrap(), "sgd,0.0,1.0,0.5,0.4,0.4");
    assert!(prop1::figure(&[found]).svg().unwrap().contains("loss above minimum"));
}

#[test]
fn a_figure_of_nothing_is_refused() {
    let mut figure = fig3::figure(&[]);
    assert!(matches!(figure.png(), Err(PlotError::Empty("fig3"))));
    let points = vec![(f64::NAN, 1.0)];
    figure.series.push(Series { name: None, colour: Colour::Plain, mark: Mark::Dots, points });
    assert!(matches!(figure.svg(), Err(PlotError::Empty("fig3"))));
}
