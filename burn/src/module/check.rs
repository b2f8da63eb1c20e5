//! What the kernels can step.

use burn::tensor::{DType, Device, Tensor};

use crate::error::Error;

pub(super) fn problem(path: &[String], problem: impl Into<String>) -> Error {
    Error::Parameter { path: path.join("."), problem: problem.into() }
}

/// That these are weights or gradients in f32 on the device, `what` of them they are.
pub(super) fn check<const D: usize>(
    path: &[String],
    what: &str,
    values: &Tensor<D>,
    device: &Device,
) -> Result<(), Error> {
    let dtype = values.dtype();
    if dtype != DType::F32 {
        return Err(problem(path, format!("has {what} of {dtype:?}: they must be f32")));
    }
    let found = values.device();
    if found != *device {
        let found =
            format!("has {what} on {found:?}, and the optimizer was made on {device:?}: move them there");
        return Err(problem(path, found));
    }
    Ok(())
}
