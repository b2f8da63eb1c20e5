//! The rule of `examples/custom_rule` keeps its contract.

#[path = "../../examples/custom_rule/signum.rs"]
mod signum;

use lookahead_wgpu::kernels;
use signum::Signum;

#[test]
fn the_rule_keeps_its_contract() {
    kernels::check(&Signum { lr: 0.01, beta: 0.9 }).unwrap();
    let error = kernels::check(&Signum { lr: 0.01, beta: 1.0 }).unwrap_err();
    assert_eq!(error.to_string(), "beta = 1 is not allowed: it must be in [0, 1)");
}
