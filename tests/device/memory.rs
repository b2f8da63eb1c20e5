//! The memory report is what the device allocates. Each test opens devices of its own, since it counts what is alive
//! there.

use crate::common::{on_every_adapter, submit};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Field, Guard, Half, Lookahead, Optimizer, Options, Rule,
    Slice, StatePolicy,
    gpu::Gpu,
    outer::Nesterov,
    rules::{Adam, Sgd},
    wgpu::{self, BufferUsages},
};

const SHAPES: [(&str, &[usize]); 3] = [("a", &[30, 20]), ("b", &[128]), ("c", &[1])];

fn build(gpu: &Gpu, rule: Box<dyn Rule>, lookahead: Option<Lookahead>, options: &Options) -> Optimizer {
    let mut builder = Optimizer::builder(rule).options(options.clone());
    builder = lookahead.into_iter().fold(builder, |builder, lookahead| builder.lookahead(lookahead));
    let builder = SHAPES.iter().fold(builder, |builder, (name, shape)| builder.tensor(name, shape));
    builder.build_blocking(&gpu.device, &gpu.queue).unwrap()
}

/// The report is what wgpu counts, to the byte but for what a driver rounds each buffer up by.
#[test]
fn the_report_is_what_the_device_allocates() {
    on_every_adapter(|gpu| {
        // wgpu counts nothing there.
        if gpu.info.backend == wgpu::Backend::Gl {
            return;
        }
        let gpu = &alone(gpu);
        let everything = Options::default()
            .clip(Clip::TensorNorm(1.0))
            .outer(Nesterov::default())
            .adaptive(AdaptiveAlpha::new(0.1))
            .average(Average::Ema { decay: 0.9 })
            .accumulate(Accumulation::mean(2))
            .variance_reduced(true)
            .centralise(true)
            .guard(Guard::default().check_updates())
            .gradient_norms(true)
            .half_weights(Half::F16)
            .half_gradients(Half::Bf16)
            .slow_bf16(true)
            .maximize(true);
        let interpolate = Lookahead::default().policy(StatePolicy::Interpolate);
        for (lookahead, options) in [
            (None, Options::default()),
            (Some(Lookahead::default()), Options::default()),
            (Some(interpolate), everything),
        ] {
            let (before, rounding) = (buffer_bytes(gpu), rounding(gpu));
            let optimizer = build(gpu, Box::new(Sgd::new(0.1).momentum(0.9)), lookahead, &options);
            let (report, made) = (optimizer.memory().total(), buffer_bytes(gpu) - before);
            let most = report + rounding * buffers(gpu);
            assert!(
                (report..=most).contains(&made),
                "{made} bytes made for {lookahead:?}\n{}",
                optimizer.memory()
            );
        }
    });
}

/// Bytes of 256 slots of the control ring.
const CHUNK: u64 = 256 * 512;

#[test]
fn what_encoders_and_gradients_take_is_counted_and_given_back() {
    on_every_adapter(|gpu| {
        let gpu = &alone(gpu);
        // wgpu counts nothing there; the report can be asked all the same.
        let counts = gpu.info.backend != wgpu::Backend::Gl;
        let mut optimizer = build(gpu, Box::new(Sgd::new(0.1)), None, &Options::default());
        let others = buffer_bytes(gpu) - if counts { optimizer.memory().total() } else { 0 };
        let rounding = rounding(gpu);
        let exact = |optimizer: &Optimizer, what: &str| {
            let alive = buffer_bytes(gpu);
            let report = optimizer.memory().total();
            let off = alive.abs_diff(report + others);
            assert!(!counts || off <= rounding * buffers(gpu), "{what}: {report} reported, {alive} alive");
            report
        };
        let start = exact(&optimizer, "at the start");

        // Steps that wait in an encoder need a slot each, and no more once they are done.
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        (0..5000).for_each(|_| optimizer.step(&mut encoder).unwrap());
        let recorded = exact(&optimizer, "recorded");
        assert_eq!(recorded - start, CHUNK * (5000 / 256));
        gpu.queue.submit([encoder.finish()]);
        let done = exact(&optimizer, "done");
        assert_eq!(done - start, 2 * CHUNK, "three chunks at rest");

        // The same again, many times over, and dropped instead of submitted.
        for round in 0..5 {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            (0..1000).for_each(|_| optimizer.step(&mut encoder).unwrap());
            assert!(exact(&optimizer, "recorded again") >= start + 2 * CHUNK);
            if round % 2 == 0 {
                drop(encoder);
            } else {
                gpu.queue.submit([encoder.finish()]);
            }
            assert_eq!(exact(&optimizer, "done again"), done);
        }

        // A readback under way, and a state that is imported.
        let download = optimizer.download(Field::Weights, "a");
        assert_eq!(exact(&optimizer, "under way") - done, 4 * 600);
        pollster::block_on(download).unwrap();
        let snapshot = optimizer.export_blocking().unwrap();
        assert_eq!(exact(&optimizer, "read back"), done);
        optimizer.import(&snapshot).unwrap();
        assert_eq!(exact(&optimizer, "imported"), done);
        drop(optimizer);

        gradients_are_counted(gpu, others, counts);
    });
}

/// Each `Gradients` has tables of its own, until it and the last step with it are gone.
fn gradients_are_counted(gpu: &Gpu, others: u64, counts: bool) {
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
    let descriptor = wgpu::BufferDescriptor { label: None, size: 1024, usage, mapped_at_creation: false };
    let pool = gpu.device.create_buffer(&descriptor);
    let builder = Optimizer::builder(Adam::new(0.1)).clip(Clip::GlobalNorm(1.0));
    let builder = builder.borrowed("w", &[32], Slice::new(&pool, 0, 128));
    let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
    let rounding = rounding(gpu);
    let exact = |optimizer: &Optimizer, what: &str| {
        let alive = buffer_bytes(gpu);
        let report = optimizer.memory().total();
        let off = alive.abs_diff(report + others + 1024);
        assert!(!counts || off <= rounding * buffers(gpu), "{what}: {report} reported, {alive} alive");
        report
    };
    let borrow = |optimizer: &Optimizer, at| {
        optimizer.borrow_gradients_blocking(&[("w", Slice::new(&pool, at, 128))]).unwrap()
    };
    let start = exact(&optimizer, "no gradients");
    let first = borrow(&optimizer, 128);
    let tables = exact(&optimizer, "one") - start;
    assert!(tables > 0);
    let many: Vec<_> = (0..10).map(|_| borrow(&optimizer, 256)).collect();
    assert_eq!(exact(&optimizer, "eleven") - start, 11 * tables);
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    many.iter().for_each(|gradients| optimizer.step_with(&mut encoder, gradients).unwrap());
    drop(many);
    assert_eq!(exact(&optimizer, "recorded") - start, 11 * tables, "the encoder has them");
    gpu.queue.submit([encoder.finish()]);
    assert_eq!(exact(&optimizer, "done") - start, tables);
    drop(first);
    assert_eq!(exact(&optimizer, "dropped"), start);
}

/// A device on which nobody else makes buffers.
fn alone(gpu: &Gpu) -> Gpu {
    pollster::block_on(Gpu::with_limits(&gpu.adapter, gpu.device.limits())).unwrap()
}

/// Bytes of all buffers that are alive on the device.
fn buffer_bytes(gpu: &Gpu) -> u64 {
    // Frees what was staged.
    submit(gpu, |_| ());
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let bytes = gpu.device.get_internal_counters().hal.buffer_memory.read();
    u64::try_from(bytes).unwrap()
}

/// How many are alive.
fn buffers(gpu: &Gpu) -> u64 {
    u64::try_from(gpu.device.get_internal_counters().hal.buffers.read()).unwrap()
}

/// What the driver allocates beyond the least that a buffer can have: 12 bytes on NVIDIA's, where the least is 16.
fn rounding(gpu: &Gpu) -> u64 {
    let before = buffer_bytes(gpu);
    let (size, usage) = (4, BufferUsages::STORAGE);
    let least = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage,
        mapped_at_creation: false,
    });
    (buffer_bytes(gpu) - before).saturating_sub(least.size())
}
