//! Reading back leaves nothing behind.
#![cfg(target_os = "linux")]

use std::{
    thread,
    time::{Duration, Instant},
};

use futures::FutureExt;
use lookahead_wgpu::{Field, Optimizer, rules::Adam, wgpu};

/// A thread that is left behind must fail the test, not stop it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The thread that waits goes with the last future.
#[test]
fn no_thread_is_left_behind() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
        let names = tasks.filter_map(|task| name(task.unwrap()));
        names.filter(|name| name.starts_with("lookahead wait")).count()
    };
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let builder = Optimizer::builder(Adam::default()).tensor("w", &[3]);
    let optimizer = builder.build_blocking(&device, &queue).unwrap();
    for _ in 0..50 {
        optimizer.export_blocking().unwrap();
        let _ = optimizer.download(Field::Weights, "w").now_or_never();
    }
    // Those of other tests go as well.
    let begun = Instant::now();
    while threads() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} threads are left", threads());
        thread::sleep(Duration::from_millis(10));
    }
}
