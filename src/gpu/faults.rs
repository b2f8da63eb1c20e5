//! What goes wrong on a device, as errors of ours.

use futures::FutureExt;

use super::scope::Problem;
#[cfg(not(target_arch = "wasm32"))]
use super::scope::scoped;
#[cfg(target_arch = "wasm32")]
pub(super) use super::web::check_alive_now;
use crate::error::Error;

/// What went wrong as an error.
pub(super) async fn refuse(device: &wgpu::Device, problem: Problem, doing: &str) -> Result<(), Error> {
    problem.await.map_or(Ok(()), |problem| Err(error(device, &problem, doing)))
}

/// What went wrong, if it is known already: off the web it always is; on the web a failure shows in the console, or at
/// the submit.
pub(super) fn refuse_now(device: &wgpu::Device, problem: Problem, doing: &str) -> Result<(), Error> {
    problem.now_or_never().flatten().map_or(Ok(()), |problem| Err(error(device, &problem, doing)))
}

/// wgpu's error as ours.
pub(super) fn error(device: &wgpu::Device, problem: &wgpu::Error, doing: &str) -> Error {
    let (doing, message) = (doing.to_owned(), problem.to_string());
    match problem {
        _ if is_lost(device) => Error::DeviceLost { doing, message },
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory { doing, message },
        _ => Error::Device { doing, message },
    }
}

/// Refuses a device that is lost: wgpu makes objects on it without a word, and none of them works. On the web
/// only [`check_alive_now`] can tell.
pub(super) fn check_alive(device: &wgpu::Device, doing: &str) -> Result<(), Error> {
    if !is_lost(device) {
        return Ok(());
    }
    Err(Error::DeviceLost { doing: doing.to_owned(), message: "it makes no buffers".to_owned() })
}

/// [`check_alive`] for those who can wait.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn check_alive_now(device: &wgpu::Device, doing: &str) -> Result<(), Error> {
    check_alive(device, doing)
}

/// Whether a device is lost, found out without its device-wide callback, which is the caller's: a lost
/// device gives a buffer that is not mapped, and no error.
#[cfg(not(target_arch = "wasm32"))]
fn is_lost(device: &wgpu::Device) -> bool {
    let (buffer, _) = scoped(device, || {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("lookahead probe"),
            size: 4,
            usage: wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        })
    });
    buffer.get_mapped_range(..).is_err()
}

/// Browsers tell of a lost device by a promise alone: objects are made on it as on any other, no error is
/// reported, and nothing panics.
#[cfg(target_arch = "wasm32")]
fn is_lost(_: &wgpu::Device) -> bool {
    false
}
