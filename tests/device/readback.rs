//! What is read back ends by itself, under any executor and with nobody else polling the device; and many small
//! tensors cost one wait.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::common::{noise, on_every_adapter, read_slice, submit, write_gradient};
use futures::{
    FutureExt,
    executor::{LocalPool, ThreadPool, block_on},
    future::{join, join_all, join3},
    task::{LocalSpawnExt, SpawnExt},
};
use lookahead_wgpu::{
    AdaptiveAlpha, Error, Field, Guard, Half, Lookahead, Optimizer, Snapshot, StatePolicy, gpu::Gpu,
    outer::Nesterov, rules::Adam, wgpu,
};

/// A future that waits for ever must fail a test, not stop it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs on a thread of its own, and fails where that does not end.
fn ends<T: Send>(what: &str, run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || sender.send(run()));
        match receiver.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("{what} waits for ever");
                // The scope would wait for the thread.
                std::process::exit(1);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what} panicked"),
        }
    })
}

/// Everything that can be read back: a guard's counters, alphas, slow state, an outer step, and a copy in half.
fn build(gpu: &Gpu, tensors: usize) -> Optimizer {
    let mut builder = Optimizer::builder(Adam::new(0.01))
        .lookahead(Lookahead::new(2, 0.5).policy(StatePolicy::Interpolate))
        .adaptive(AdaptiveAlpha::new(0.1))
        .outer(Nesterov::default())
        .half_weights(Half::F16)
        .guard(Guard::default());
    for index in 0..tensors {
        builder = builder.tensor(&format!("t{index}"), &[5 + index % 300]);
    }
    let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
    for index in 0..tensors {
        optimizer.upload(&format!("t{index}"), &noise(5 + index % 300, index as u64)).unwrap();
    }
    optimizer
}

fn train(gpu: &Gpu, optimizer: &mut Optimizer, steps: u64) {
    let tensors: Vec<_> = optimizer.tensors().map(|(name, shape)| (name.to_owned(), shape[0])).collect();
    for step in 0..steps {
        for (name, len) in &tensors {
            write_gradient(gpu, optimizer, name, &noise(*len, 1000 + step));
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
}

/// All that an optimizer can be asked for, at once.
async fn everything(optimizer: &Optimizer) -> (Vec<Vec<f32>>, u64, Vec<Option<f32>>, Snapshot, usize) {
    let fields = [Field::Weights, Field::SlowWeights, Field::State("exp_avg"), Field::Gradients];
    let values = join_all(fields.map(|field| optimizer.download(field, "t1")));
    let counted = join(optimizer.counters(), optimizer.download_alphas());
    let states = join(optimizer.export(), optimizer.export_weights(Field::SlowWeights));
    let (values, (counters, alphas), (snapshot, weights)) = join3(values, counted, states).await;
    let values = values.into_iter().collect::<Result<_, _>>().unwrap();
    (values, counters.unwrap().steps, alphas.unwrap(), snapshot.unwrap(), weights.unwrap().len())
}

#[test]
fn everything_ends_under_any_executor() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(gpu, 3);
        train(gpu, &mut optimizer, 3);
        let optimizer = &optimizer;
        let expected = ends("pollster", || pollster::block_on(everything(optimizer)));
        assert_eq!(expected.1, 3);
        assert!(expected.2[0].is_some());
        assert_eq!(expected.0[0], expected.3.tensors[1].fields[0].1);
        let all = ends("download_all", || pollster::block_on(optimizer.download_all(Field::SlowWeights)));
        let slow = expected.3.tensors.iter().map(|tensor| tensor.field(Field::SlowWeights).unwrap());
        assert!(all.unwrap().iter().map(Vec::as_slice).eq(slow));
        let found = ends("block_on", || block_on(everything(optimizer)));
        assert_eq!(found, expected);
        let found = ends("LocalPool", || LocalPool::new().run_until(everything(optimizer)));
        assert_eq!(found, expected);
    });
}

#[test]
fn one_after_the_other_each_ends_by_itself() {
    on_every_adapter(|gpu| {
        let optimizer = &build(gpu, 2);
        let folder = &std::env::temp_dir();
        ends("counters", || pollster::block_on(optimizer.counters())).unwrap();
        ends("download", || pollster::block_on(optimizer.download(Field::Weights, "t0"))).unwrap();
        ends("alphas", || pollster::block_on(optimizer.download_alphas())).unwrap();
        ends("export", || pollster::block_on(optimizer.export())).unwrap();
        ends("weights", || pollster::block_on(optimizer.export_weights(Field::Average))).unwrap_err();
        ends("weights", || pollster::block_on(optimizer.export_weights(Field::Weights))).unwrap();
        let file = folder.join(format!("lookahead-{}-{:?}", std::process::id(), gpu.info.backend));
        ends("save", || pollster::block_on(optimizer.save_weights(&file, Field::Weights))).unwrap();
        std::fs::remove_file(file).unwrap();
    });
}

/// Hundreds at once, spawned on one thread and on several: each is sent there whole.
#[test]
fn many_futures_at_once_end_in_a_pool() {
    on_every_adapter(|gpu| {
        let optimizer = build(gpu, 20);
        let downloads = || {
            let names = (0..200).map(|index| format!("t{}", index % 20));
            names.map(|name| optimizer.download(Field::Weights, &name)).collect::<Vec<_>>()
        };
        let expected: Vec<_> = (0..200).map(|index| noise(5 + index % 20, (index % 20) as u64)).collect();

        let local = downloads();
        let found = ends("LocalPool", move || {
            let mut pool = LocalPool::new();
            let spawner = pool.spawner();
            let handles = local.into_iter().map(|it| spawner.spawn_local_with_handle(it).unwrap());
            let handles: Vec<_> = handles.collect();
            pool.run_until(join_all(handles))
        });
        assert_eq!(found.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), expected);

        let pool = ThreadPool::builder().pool_size(3).create().unwrap();
        let shared = downloads();
        let handles: Vec<_> = shared.into_iter().map(|it| pool.spawn_with_handle(it).unwrap()).collect();
        let found = ends("ThreadPool", move || block_on(join_all(handles)));
        assert_eq!(found.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), expected);
    });
}

/// What borrows the optimizer can be sent to another thread, too.
#[test]
fn futures_are_send() {
    fn check<T: Send>(it: T) -> T {
        it
    }
    on_every_adapter(|gpu| {
        let optimizer = build(gpu, 1);
        let ended = ends("a thread", || {
            pollster::block_on(check(optimizer.export())).unwrap();
            pollster::block_on(check(optimizer.counters())).unwrap()
        });
        assert_eq!(ended.steps, 0);
    });
}

/// Dropped before, between and after polls; and the optimizer before its future.
#[test]
fn dropped_futures_leave_the_others_alone() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(gpu, 4);
        for round in 0..20 {
            train(gpu, &mut optimizer, 1);
            drop(optimizer.download(Field::Weights, "t0"));
            let mut polled = Box::pin(optimizer.download(Field::Weights, "t1"));
            let _ = polled.as_mut().now_or_never();
            let kept = optimizer.download(Field::Weights, "t2");
            let mut export = Box::pin(optimizer.export());
            let _ = export.as_mut().now_or_never();
            drop(polled);
            let kept = ends("the one that is kept", move || block_on(kept)).unwrap();
            assert_eq!(kept.len(), 7, "round {round}");
        }
        let last = optimizer.download(Field::Weights, "t3");
        drop(optimizer);
        assert_eq!(ends("the last one", move || block_on(last)).unwrap().len(), 8);
    });
}

/// A thread that polls the device, as many programs have, takes the callbacks first.
#[test]
fn a_caller_may_poll_as_well() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(gpu, 3);
        train(gpu, &mut optimizer, 2);
        let optimizer = &optimizer;
        let expected = optimizer.export_blocking().unwrap();
        thread::scope(|scope| {
            let (stop, stopped) = mpsc::channel::<()>();
            scope.spawn(move || {
                while let Err(mpsc::TryRecvError::Empty) = stopped.try_recv() {
                    gpu.device.poll(wgpu::PollType::Poll).unwrap();
                }
            });
            for _ in 0..30 {
                let found = ends("export", || pollster::block_on(optimizer.export())).unwrap();
                assert_eq!(found, expected);
            }
            drop(stop);
        });
        // And one that polls between the polls of a future.
        let mut future = Box::pin(optimizer.counters());
        let at_once = future.as_mut().now_or_never();
        gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let counters = at_once.unwrap_or_else(|| ends("counters", || block_on(future)));
        assert_eq!(counters.unwrap().steps, 2);
    });
}

#[test]
fn futures_of_a_lost_device_end() {
    on_every_adapter(|gpu| {
        let gpu = &pollster::block_on(Gpu::with_limits(&gpu.adapter, gpu.device.limits())).unwrap();
        let mut optimizer = build(gpu, 2);
        train(gpu, &mut optimizer, 2);
        // Under way, unpolled and polled.
        let unpolled = optimizer.download(Field::Weights, "t0");
        let optimizer = &optimizer;
        let mut polled = Box::pin(optimizer.export());
        let at_once = polled.as_mut().now_or_never();
        gpu.device.destroy();
        let lost = |outcome: Result<(), Error>| match outcome {
            Ok(()) | Err(Error::DeviceLost { .. }) => {}
            Err(other) => panic!("{other}"),
        };
        lost(ends("download", move || block_on(unpolled)).map(|_| ()));
        if at_once.is_none() {
            lost(ends("export", move || block_on(polled)).map(|_| ()));
        }
        // Begun afterwards.
        let error = ends("download", || block_on(optimizer.download(Field::Weights, "t0"))).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
        let error = ends("counters", || block_on(optimizer.counters())).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
        let error = ends("export", || block_on(optimizer.export())).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
        let error = ends("alphas", || block_on(optimizer.download_alphas())).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    });
}

/// How many submits a call makes, in wgpu's numbers for them: some calls that wait for one take a number, too.
fn submits(gpu: &Gpu, run: impl FnOnce()) -> u64 {
    let number = || {
        let index = format!("{:?}", gpu.queue.submit([]));
        let digits: String = index.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap()
    };
    let before = number();
    run();
    number() - before - 1
}

/// A device of its own, so that nobody else submits on it.
fn alone(gpu: &Gpu, max_buffer_size: Option<u64>) -> Gpu {
    let mut limits = gpu.device.limits();
    if let Some(size) = max_buffer_size {
        limits.max_buffer_size = size;
        limits.max_storage_buffer_binding_size = size;
    }
    pollster::block_on(Gpu::with_limits(&gpu.adapter, limits)).unwrap()
}

/// 400 tensors of 9 fields: one submit each way, and no buffer for each.
#[test]
fn many_small_tensors_cost_one_submit() {
    on_every_adapter(|gpu| {
        let gpu = &alone(gpu, None);
        let mut optimizer = build(gpu, 400);
        train(gpu, &mut optimizer, 3);
        let one = submits(gpu, || drop(optimizer.download_blocking(Field::Weights, "t0").unwrap()));
        let mut snapshot = None;
        let exporting = submits(gpu, || snapshot = Some(optimizer.export_blocking().unwrap()));
        assert_eq!(exporting, one);
        let weights = submits(gpu, || drop(optimizer.export_weights_blocking(Field::SlowWeights).unwrap()));
        assert_eq!(weights, one);
        let snapshot = snapshot.unwrap();

        // The values are those of single downloads.
        for tensor in snapshot.tensors.iter().step_by(37) {
            for (field, values) in &tensor.fields {
                let single = optimizer.download_blocking(Field::parse(field).unwrap(), &tensor.name);
                assert_eq!(single.unwrap(), *values, "{field} of {}", tensor.name);
            }
        }

        let mut other = build(gpu, 400);
        submit(gpu, |_| ());
        gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let buffers = || gpu.device.get_internal_counters().hal.buffers.read();
        let before = buffers();
        let mut made = 0;
        let importing = submits(gpu, || {
            other.import(&snapshot).unwrap();
            made = buffers() - before;
        });
        assert!(importing <= one, "{importing} submits");
        // The packed values, wgpu's own copy of them, and the clock's; on OpenGL wgpu counts none.
        assert!(made <= 5, "{made} buffers");
        assert!(other.export_blocking().unwrap() == snapshot);

        let file = optimizer.export_weights_blocking(Field::Weights).unwrap();
        let mut third = build(gpu, 400);
        let importing = submits(gpu, || assert!(third.import_weights(&file).unwrap().is_empty()));
        assert!(importing <= one, "{importing} submits");
        for field in [Field::Weights, Field::SlowWeights] {
            let expected = optimizer.download_blocking(Field::Weights, "t299").unwrap();
            assert_eq!(third.download_blocking(field, "t299").unwrap(), expected);
        }
        // Both go on alike.
        train(gpu, &mut optimizer, 3);
        train(gpu, &mut other, 3);
        assert!(other.export_blocking().unwrap() == optimizer.export_blocking().unwrap());
    });
}

/// Where one buffer cannot hold all of it, several come one after the other, and tensors may be cut anywhere.
#[test]
fn what_is_larger_than_a_buffer_comes_in_parts() {
    on_every_adapter(|gpu| {
        // No multiple of a tensor's size, nor of 256.
        const LIMIT: u64 = 256 * 1024 + 4;
        let gpu = &alone(gpu, Some(LIMIT));
        let build = || {
            let mut optimizer = Optimizer::builder(Adam::new(0.01))
                .lookahead(Lookahead::new(2, 0.5))
                .slow_bf16()
                .half_weights(Half::Bf16)
                .tensor("a", &[90_001])
                .tensor("b", &[7])
                .tensor("c", &[30_003])
                .pipelines(&gpu.pipelines)
                .build_blocking(&gpu.device, &gpu.queue)
                .unwrap();
            for (name, len) in [("a", 90_001), ("b", 7), ("c", 30_003)] {
                optimizer.upload(name, &noise(len, 3)).unwrap();
            }
            optimizer
        };
        let mut parts = build();
        submit(gpu, |encoder| parts.step(encoder)).unwrap();
        let one = submits(gpu, || drop(parts.download_blocking(Field::Weights, "b").unwrap()));
        let mut snapshot = None;
        let all = submits(gpu, || snapshot = Some(parts.export_blocking().unwrap()));
        let snapshot = snapshot.unwrap();
        // f32 weights and two moments, and bf16 slow weights, each rounded up to a word.
        let bytes: u64 = [90_001_u64, 7, 30_003].iter().map(|len| 12 * len + 4 * len.div_ceil(2)).sum();
        assert_eq!(all, one * bytes.div_ceil(LIMIT));
        for tensor in &snapshot.tensors {
            for (field, values) in &tensor.fields {
                let single = parts.download_blocking(Field::parse(field).unwrap(), &tensor.name).unwrap();
                assert!(single == *values, "{field} of {}", tensor.name);
            }
        }
        assert!(snapshot.tensors[0].fields[0].1 == noise(90_001, 3), "no gradient, no change");
        let mut revived = build();
        revived.import(&snapshot).unwrap();
        assert!(revived.export_blocking().unwrap() == snapshot);
        assert!(copies(gpu, &revived) == copies(gpu, &parts));
    });
}

/// The half-width copy of `b` and `c`, as it lies there.
fn copies(gpu: &Gpu, optimizer: &Optimizer) -> Vec<u32> {
    let slices = ["b", "c"].map(|name| optimizer.half_weights(name).unwrap());
    let words = slices.iter().flat_map(|slice| read_slice(gpu, slice));
    words.map(f32::to_bits).collect()
}

/// `cargo test --release --test device -- --ignored --nocapture seconds`
#[test]
#[ignore = "for a quiet machine"]
fn seconds_of_many_small_tensors() {
    on_every_adapter(|gpu| {
        let mut builder = Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::default());
        for index in 0..2000 {
            builder = builder.tensor(&format!("t{index}"), &[16, 16]);
        }
        let mut optimizer =
            builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
        let mut median = |run: &mut dyn FnMut(&mut Optimizer)| {
            let mut times: Vec<_> = (0..5)
                .map(|_| {
                    let begun = Instant::now();
                    run(&mut optimizer);
                    submit(gpu, |_| ());
                    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
                    begun.elapsed().as_secs_f64()
                })
                .collect();
            times.sort_by(f64::total_cmp);
            times[2]
        };
        let mut snapshot = None;
        let export = median(&mut |it| snapshot = Some(it.export_blocking().unwrap()));
        let import = median(&mut |it| it.import(snapshot.as_ref().unwrap()).unwrap());
        println!("{}: export {export:.3} s, import {import:.3} s", gpu.label());
    });
}
