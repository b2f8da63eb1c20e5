//! Cross-entropy with smoothed labels ([Szegedy et al., 2015](https://arxiv.org/abs/1512.00567)).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// The mean over all targets but `pad` of the cross-entropy with labels of `1 - smoothing` at the target, plus
/// `smoothing / classes` everywhere: logits `[rows, classes]`, targets `[rows]`. Not a number where all targets are
/// `pad`.
///
/// The labels are never made: their part beside the target is the mean of the logarithms.
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    smoothing: f64,
    pad: Option<u32>,
) -> Tensor<1> {
    let logarithms = log_softmax(logits, 1);
    let target = logarithms.clone().gather(1, targets.clone().unsqueeze_dim(1));
    let losses = match smoothing {
        0.0 => target,
        _ => target * (1.0 - smoothing) + logarithms.mean_dim(1) * smoothing,
    };
    let losses = losses.neg().squeeze_dim::<1>(1);
    let Some(pad) = pad else { return losses.mean() };
    let mask = targets.equal_scalar(i64::from(pad));
    let counted = mask.clone().bool_not().float().sum();
    losses.mask_fill(mask, 0.0).sum() / counted
}
