//! Errors caught where they happen.

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
