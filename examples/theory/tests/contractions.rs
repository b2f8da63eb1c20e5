use crate::turn;
use lookahead_test_support::on_every_adapter;
use lookahead_wgpu::analysis::{Descent, best_learning_rate, log_spaced_curvatures};
use theory::contraction::{measured_rate, one_term, two_terms};
use theory::{fig4, simulate::Simulator};

#[test]
fn the_weights_contract_as_the_spectral_radius_says() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        let simulator = Simulator::new(gpu).unwrap();
        for kappa in [10.0, 1000.0] {
            let curvatures = log_spaced_curvatures(kappa, fig4::CURVATURES).unwrap();
            for (method, policy, _) in fig4::METHODS {
                let lookahead = fig4::lookahead(policy);
                let best = best_learning_rate(fig4::MOMENTUM, lookahead.as_ref(), &curvatures).unwrap();
                let descent = Descent::heavy_ball(best.learning_rate, fig4::MOMENTUM);
                let found = measured_rate(&simulator, descent, lookahead, &curvatures, fig4::K).unwrap();
                let error = (1.0 - found) / (1.0 - best.rate) - 1.0;
                println!("{method}, kappa {kappa}: relative error of 1 - rate {error:.1e}");
                // f32, over 480 steps.
                assert!(error.abs() < 1e-3, "{method}, kappa {kappa}: {error}");
            }
        }
    });
}

#[test]
fn recurrences_are_found_in_sequences() {
    let sequence = |f: &dyn Fn(f64) -> f64| -> Vec<f64> { (0..20).map(|n| f(f64::from(n))).collect() };
    assert!((one_term(&sequence(&|n| 3.0 * (-0.7_f64).powf(n).abs())) - 0.7).abs() < 1e-12);
    let real = sequence(&|n| 2.0 * 0.9_f64.powf(n) - 0.4_f64.powf(n));
    assert!((two_terms(&real) - 0.9).abs() < 1e-9);
    let complex = sequence(&|n| 0.8_f64.powf(n) * (1.3 * n).cos());
    assert!((two_terms(&complex) - 0.8).abs() < 1e-9);
    // One mode alone, and none.
    assert!((two_terms(&sequence(&|n| 0.6_f64.powf(n))) - 0.6).abs() < 1e-9);
    assert_eq!((two_terms(&[0.0; 9]), one_term(&[0.0; 9]), one_term(&[1.0])), (0.0, 0.0, 0.0));
}
