//! Making things on the device, with its limits and its errors minded.

/// The widest layer: keeps dispatches far below every device's limit.
pub const MOST_UNITS: usize = 1 << 20;

/// What can go wrong with a network.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A layer is empty or far too wide.
    #[error("a layer of {units} units is not possible: 1 to {MOST_UNITS} are")]
    Units {
        /// How many were asked for.
        units: usize,
    },
    /// A buffer is larger than the device allows.
    #[error("{what} need {bytes} bytes in one buffer, and this device allows {limit}; {advice}")]
    TooLarge {
        /// What the buffer is for.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The largest size.
        limit: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The device refused something, or has no memory left.
    #[error("the device failed while {doing}: {message}")]
    Device {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        message: String,
    },
}

/// A buffer for kernels.
pub fn storage(device: &wgpu::Device, label: &str, bytes: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.next_multiple_of(4),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Four words that a kernel reads.
pub fn uniform(device: &wgpu::Device, queue: &wgpu::Queue, words: [u32; 4]) -> wgpu::Buffer {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("shape"),
        size: size_of_val(&words) as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
    buffer
}

/// Refuses a buffer that is larger than the device allows.
pub fn fits(
    device: &wgpu::Device,
    what: &'static str,
    bytes: u64,
    advice: &'static str,
) -> Result<(), ModelError> {
    let limits = device.limits();
    let limit = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
    if bytes <= limit { Ok(()) } else { Err(ModelError::TooLarge { what, bytes, limit, advice }) }
}

/// Makes something on the device, whose errors would otherwise end the program.
pub async fn checked<T>(
    device: &wgpu::Device,
    doing: &'static str,
    make: impl FnOnce() -> T,
) -> Result<T, ModelError> {
    let scopes = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal]
        .map(|filter| device.push_error_scope(filter));
    let made = make();
    // Scopes close in the reverse order of their opening.
    let [validation, memory, internal] = scopes;
    let futures = [internal.pop(), memory.pop(), validation.pop()];
    for future in futures {
        if let Some(problem) = future.await {
            return Err(ModelError::Device { doing, message: problem.to_string() });
        }
    }
    Ok(made)
}
