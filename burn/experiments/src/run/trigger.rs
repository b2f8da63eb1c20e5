//! When an average of the weights begins.

/// How many epochs back the losses lie that a new one is compared with.
const INTERVAL: usize = 5;

/// Whether a validation loss is above the least of those that came more than 5 epochs before it, which `before` has in
/// order: the non-monotone trigger of NT-ASGD (Merity, Keskar, Socher, 2017, algorithm 1 with n = 5).
pub fn is_stuck(before: &[f64], loss: f64) -> bool {
    let count = before.len().saturating_sub(INTERVAL);
    before[..count].iter().any(|&earlier| loss > earlier)
}
