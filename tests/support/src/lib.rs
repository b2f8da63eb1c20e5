//! Devices for tests: every adapter present, and what passes between it and the host.

#[cfg(not(target_arch = "wasm32"))]
use std::sync::{Mutex, OnceLock, PoisonError};

use lookahead_wgpu::{Slice, gpu::Gpu, wgpu};

/// A device of every adapter present, which all tests share. None at all is a failure, never a skip.
#[cfg(not(target_arch = "wasm32"))]
pub fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(open)
}

/// A device for what does not hang on the adapter: lavapipe's where it is there, which is the quickest over pipelines.
#[cfg(not(target_arch = "wasm32"))]
pub fn gpu() -> &'static Gpu {
    gpus().iter().find(|gpu| !is_slow(gpu)).unwrap_or(&gpus()[0])
}

#[cfg(not(target_arch = "wasm32"))]
fn open() -> Vec<Gpu> {
    let gpus = pollster::block_on(Gpu::all()).unwrap();
    assert!(!gpus.is_empty(), "no adapter: `cargo xtask test` installs software ones");
    gpus
}

/// Runs a test on every adapter, and says on which one it failed.
///
/// It has the devices to itself: wgpu-core 30.0 panics now and then where several threads poll one
/// (gfx-rs/wgpu#9958), and its OpenGL backend where one waits for another for some seconds. As many are opened as tests
/// run at a time.
#[cfg(not(target_arch = "wasm32"))]
pub fn on_every_adapter(test: impl Fn(&Gpu)) {
    static IDLE: Mutex<Vec<Vec<Gpu>>> = Mutex::new(Vec::new());
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = idle().pop();
    let gpus = taken.unwrap_or_else(open);
    for gpu in &gpus {
        begin_cases();
        let label = gpu.label();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(gpu)));
        if let Err(panic) = outcome {
            eprintln!("failed on {label}");
            std::panic::resume_unwind(panic);
        }
    }
    idle().push(gpus);
}

thread_local! {
    /// How many cases of a test this adapter was asked for.
    static CASES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts the cases of a test from the first again.
pub fn begin_cases() {
    CASES.set(0);
}

/// Whether this case of a test is left to the other adapters: the slow ones have the first, and then every fourth, or a
/// test of all cases would take minutes. All others have all.
pub fn spared(gpu: &Gpu) -> bool {
    let number = CASES.replace(CASES.get() + 1);
    is_slow(gpu) && !number.is_multiple_of(4)
}

/// Whether an adapter takes a third of a second and more over each pipeline: SwiftShader, which browsers run on too, and
/// OpenGL.
fn is_slow(gpu: &Gpu) -> bool {
    let is_browser = cfg!(target_arch = "wasm32");
    is_browser || gpu.info.backend == wgpu::Backend::Gl || gpu.info.name.contains("SwiftShader")
}

/// Records with `record` and submits.
pub fn submit<T>(gpu: &Gpu, record: impl FnOnce(&mut wgpu::CommandEncoder) -> T) -> T {
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let result = record(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
    result
}

/// A buffer of the caller's, for weights or gradients, of so many bytes.
pub fn buffer(gpu: &Gpu, size: u64) -> wgpu::Buffer {
    use wgpu::BufferUsages as Usages;
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: Usages::STORAGE | Usages::COPY_DST | Usages::COPY_SRC,
        mapped_at_creation: false,
    })
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
