//! A device to begin with.

use super::Pipelines;
use crate::error::Error;

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
    /// For [`Builder::pipelines`](crate::Builder::pipelines): what its optimizers have compiled.
    pub pipelines: Pipelines,
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
        Ok(Self { info, adapter: adapter.clone(), device, queue, pipelines: Pipelines::default() })
    }

    /// The adapter in words: name, backend and driver.
    pub fn label(&self) -> String {
        label(&self.info)
    }
}

pub(super) fn label(info: &wgpu::AdapterInfo) -> String {
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
