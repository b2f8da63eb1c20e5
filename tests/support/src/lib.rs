//! Devices for tests: every adapter present, and what passes between it and the host.

#[cfg(not(target_arch = "wasm32"))]
use std::sync::{Mutex, OnceLock, PoisonError};

use lookahead_wgpu::{Slice, gpu::Gpu, wgpu};

/// A device of every adapter present. None at all is a failure, never a skip.
#[cfg(not(target_arch = "wasm32"))]
pub fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let gpus = pollster::block_on(Gpu::all()).unwrap();
        assert!(!gpus.is_empty(), "no adapter: `cargo xtask test` installs software ones");
        gpus
    })
}

/// Runs a test on every adapter, and says on which one it failed.
#[cfg(not(target_arch = "wasm32"))]
pub fn on_every_adapter(test: impl Fn(&Gpu)) {
    for gpu in gpus() {
        let label = gpu.label();
        // wgpu's OpenGL backend waits for its context for some seconds only, and panics then.
        static OPENGL: Mutex<()> = Mutex::new(());
        let is_opengl = gpu.info.backend == wgpu::Backend::Gl;
        let _turn = is_opengl.then(|| OPENGL.lock().unwrap_or_else(PoisonError::into_inner));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(gpu)));
        if let Err(panic) = outcome {
            eprintln!("failed on {label}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Records with `record` and submits.
pub fn submit<T>(gpu: &Gpu, record: impl FnOnce(&mut wgpu::CommandEncoder) -> T) -> T {
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let result = record(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
    result
}

/// What a buffer holds now.
#[cfg(not(target_arch = "wasm32"))]
pub fn read_slice(gpu: &Gpu, slice: &Slice) -> Vec<f32> {
    pollster::block_on(read_slice_async(gpu, slice))
}

/// [`read_slice`], for tests that run in a browser, too.
pub async fn read_slice_async(gpu: &Gpu, slice: &Slice) -> Vec<f32> {
    let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: slice.size,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    submit(gpu, |encoder| {
        encoder.copy_buffer_to_buffer(&slice.buffer, slice.offset, &staging, 0, slice.size);
    });
    let (sender, receiver) = futures::channel::oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, .., |result| sender.send(result).unwrap());
    #[cfg(not(target_arch = "wasm32"))]
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    receiver.await.unwrap().unwrap();
    bytemuck::cast_slice(&staging.get_mapped_range(..).unwrap()).to_vec()
}
