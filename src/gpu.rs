//! The device: errors caught where they happen, and a device to begin with.

use crate::error::Error;

/// What went wrong, if anything did.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type Problem = futures::future::BoxFuture<'static, Option<wgpu::Error>>;
/// The same; JavaScript's promises stay on their thread.
#[cfg(target_arch = "wasm32")]
pub(crate) type Problem = futures::future::LocalBoxFuture<'static, Option<wgpu::Error>>;

/// Runs `make` with validation, memory and internal errors caught, so that wgpu does not panic on them.
///
/// The future resolves at once off the web.
pub(crate) fn scoped<T>(device: &wgpu::Device, make: impl FnOnce() -> T) -> (T, Problem) {
    use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
    let [validation, memory, internal] =
        [Validation, OutOfMemory, Internal].map(|filter| device.push_error_scope(filter));
    let made = make();
    let (internal, memory, validation) = (internal.pop(), memory.pop(), validation.pop());
    let problem = async move {
        let (memory, validation, internal) = (memory.await, validation.await, internal.await);
        memory.or(validation).or(internal)
    };
    (made, Box::pin(problem))
}

/// wgpu's error as ours.
pub(crate) fn error(device: &wgpu::Device, problem: &wgpu::Error, doing: &str) -> Error {
    let (doing, message) = (doing.to_owned(), problem.to_string());
    match problem {
        _ if is_lost(device) => Error::DeviceLost { doing, message },
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory { doing, message },
        _ => Error::Device { doing, message },
    }
}

/// A buffer that holds `contents`. wgpu's own `create_buffer_init` panics where the device gives none.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn filled(
    device: &wgpu::Device,
    label: &str,
    contents: &[u32],
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    let bytes: &[u8] = bytemuck::cast_slice(contents);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.len() as u64,
        usage,
        mapped_at_creation: true,
    });
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.copy_from_slice(bytes);
        drop(view);
        buffer.unmap();
    }
    buffer
}

/// Refuses a device that is lost: wgpu makes objects on it without a word, and none of them works. On the web
/// only [`check_alive_now`] can tell.
pub(crate) fn check_alive(device: &wgpu::Device, doing: &str) -> Result<(), Error> {
    if !is_lost(device) {
        return Ok(());
    }
    Err(Error::DeviceLost { doing: doing.to_owned(), message: "it makes no buffers".to_owned() })
}

/// [`check_alive`] for those who can wait.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn check_alive_now(device: &wgpu::Device, doing: &str) -> Result<(), Error> {
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

#[cfg(target_arch = "wasm32")]
pub use web::NeededLimit;
#[cfg(target_arch = "wasm32")]
pub(crate) use web::{check_alive_now, filled};

/// A device to train on, for programs that have none yet. The optimizer itself takes any
/// [`wgpu::Device`].
#[derive(Debug, Clone)]
pub struct Gpu {
    /// What the adapter is.
    pub info: wgpu::AdapterInfo,
    /// The adapter.
    pub adapter: wgpu::Adapter,
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
}

impl Gpu {
    /// A device of this adapter with these limits. On the web an adapter gives one device only.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`].
    pub async fn with_limits(adapter: &wgpu::Adapter, limits: wgpu::Limits) -> Result<Self, Error> {
        let info = adapter.get_info();
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("lookahead"),
                required_limits: limits,
                ..Default::default()
            })
            .await
            .map_err(|problem| Error::NoDevice {
                adapter: label(&info),
                reason: plain(&problem.to_string()).to_owned(),
            })?;
        Ok(Self { info, adapter: adapter.clone(), device, queue })
    }

    /// The adapter in words: name, backend and driver.
    pub fn label(&self) -> String {
        label(&self.info)
    }
}

fn label(info: &wgpu::AdapterInfo) -> String {
    let driver = format!("{} {}", info.driver, info.driver_info);
    // A browser tells little of it.
    match (info.name.as_str(), driver.trim()) {
        ("", _) => info.backend.to_string(),
        (name, "") => format!("{name} ({})", info.backend),
        (name, driver) => format!("{name} ({}, {driver})", info.backend),
    }
}

/// wgpu's message, without what it puts around a browser's: `JsValue(OperationError: message`, then a stack and `)`.
fn plain(message: &str) -> &str {
    let browsers = message.strip_prefix("JsValue(").and_then(|rest| rest.strip_suffix(')'));
    browsers.and_then(|text| text.lines().next()).unwrap_or(message)
}

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_a_browser_says_is_told_plainly() {
        let message = "JsValue(OperationError: no device (8)\nundefined)";
        assert_eq!(plain(message), "OperationError: no device (8)");
        assert_eq!(plain("limit (8) exceeded"), "limit (8) exceeded");
    }
}
