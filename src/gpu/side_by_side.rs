//! Several objects made at the same time.

use futures::future::try_join_all;

use crate::error::Error;

/// What `make` makes of each of these, in their order: begun together and awaited together, so that a browser's process
/// works on all of them at once.
///
/// # Errors
///
/// The first error of `make`.
#[cfg(target_arch = "wasm32")]
pub(super) async fn side_by_side<'a, T, M, F>(
    _: &wgpu::Device,
    from: &'a [T],
    make: impl Fn(&'a T) -> F,
) -> Result<Vec<M>, Error>
where
    F: Future<Output = Result<M, Error>>,
{
    try_join_all(from.iter().map(make)).await
}

/// What `make` makes of each of these, in their order, on as many threads as there are cores; through OpenGL, which has one
/// context for all of them, on this one.
///
/// # Errors
///
/// The first error of `make`.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn side_by_side<'a, T, M, F>(
    device: &wgpu::Device,
    from: &'a [T],
    make: impl Fn(&'a T) -> F + Sync,
) -> Result<Vec<M>, Error>
where
    T: Sync,
    M: Send + Sync,
    F: Future<Output = Result<M, Error>>,
{
    use std::{
        sync::{
            OnceLock,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    let threads = thread::available_parallelism().map_or(1, usize::from).min(from.len());
    if device.adapter_info().backend == wgpu::Backend::Gl || threads < 2 {
        return try_join_all(from.iter().map(make)).await;
    }
    let next = AtomicUsize::new(0);
    let places: Vec<_> = from.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        let rest = std::iter::from_fn(|| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            from.get(at).zip(places.get(at))
        });
        for (from, place) in rest {
            // wgpu's errors are known at once here, and belong to the thread that made them.
            place.get_or_init(|| pollster::block_on(make(from)));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread this one does all.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    places.into_iter().filter_map(OnceLock::into_inner).collect()
}
