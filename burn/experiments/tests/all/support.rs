//! What tests of several subjects need.

use burn::tensor::Tensor;

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().expect("floats")
}

/// Whether this is a running mean or variance, which Burn visits and counts as a parameter.
pub fn is_statistic(path: &[String]) -> bool {
    path.last().is_some_and(|name| name.starts_with("running_"))
}
