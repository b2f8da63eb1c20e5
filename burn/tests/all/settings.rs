//! Settings that are refused.

use burn::optim::SgdConfig;
use lookahead_burn::{Error, Lookahead};

#[test]
fn what_is_out_of_range_is_refused_with_its_value() {
    let sgd = SgdConfig::new().build();
    for (k, alpha, message) in [
        (0, 0.5, "k = 0 is not allowed: it must be at least 1"),
        (5, 0.0, "alpha = 0 is not allowed: it must be in (0, 1]"),
        (5, 1.5, "alpha = 1.5 is not allowed: it must be in (0, 1]"),
        (5, -0.1, "alpha = -0.1 is not allowed: it must be in (0, 1]"),
        (5, f64::NAN, "alpha = NaN is not allowed: it must be in (0, 1]"),
    ] {
        let error = Lookahead::new(sgd.clone(), k, alpha).err().unwrap();
        assert!(matches!(error, Error::Lookahead(lookahead_wgpu::Error::Hyperparameter { .. })), "{error:?}");
        assert_eq!(error.to_string(), message);
    }
    assert!(Lookahead::new(sgd, 1, 1.0).is_ok());
}
