//! When an average begins.

use experiments::run::trigger::is_stuck;

#[test]
fn it_is_as_published() {
    // Merity et al., algorithm 1, with n = 5: `t > n and v > min over l in 0..t - n - 1 of logs[l]`.
    let losses = [9.0, 8.0, 7.0, 6.5, 6.0, 6.1, 5.9, 5.95, 6.05, 6.2, 6.3, 7.5];
    let first = (0..losses.len()).find(|&t| is_stuck(&losses[..t], losses[t]));
    // 6.2 in the tenth is above none of 9, 8, 7, 6.5 and 6.0 but the last: there are 9 before it, 4 of them early enough.
    assert_eq!(first, Some(10));
    assert!(!is_stuck(&[], 1.0) && !is_stuck(&[1.0; 5], 2.0) && is_stuck(&[1.0; 6], 2.0));
}
