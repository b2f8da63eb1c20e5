//! What is recorded is what is done, however it is cut into encoders and submits.

use crate::common::{noise, on_every_adapter, submit, write_gradient};
use lookahead_wgpu::{
    Clip, Lookahead, Optimizer, Schedule, Snapshot, StatePolicy, gpu::Gpu, rules::Adam, wgpu,
};

const LENS: [(&str, usize); 3] = [("a", 70), ("b", 1), ("c", 1000)];

fn build(gpu: &Gpu, policy: StatePolicy, clip: Clip) -> Optimizer {
    let mut builder = Optimizer::builder(Adam::new(0.01))
        .lookahead(Lookahead::new(3, 0.5).policy(policy))
        .schedule(Schedule::cosine(10, 1000, 0.1))
        .clip(clip);
    for (name, len) in LENS {
        builder = builder.tensor(name, &[len]);
    }
    let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
    for (name, len) in LENS {
        optimizer.upload(name, &noise(len, 1)).unwrap();
        write_gradient(gpu, &optimizer, name, &noise(len, 2));
    }
    optimizer
}

/// `steps` steps, `batch` to an encoder.
fn train(gpu: &Gpu, optimizer: &mut Optimizer, steps: usize, batch: usize) {
    let mut left = steps;
    while left > 0 {
        let now = batch.min(left);
        submit(gpu, |encoder| (0..now).try_for_each(|_| optimizer.step(encoder))).unwrap();
        left -= now;
    }
}

fn trained(gpu: &Gpu, policy: StatePolicy, clip: Clip, steps: usize, batch: usize) -> Snapshot {
    let mut optimizer = build(gpu, policy, clip);
    train(gpu, &mut optimizer, steps, batch);
    optimizer.export_blocking().unwrap()
}

#[test]
fn a_thousand_steps_in_one_encoder_are_a_thousand_submits() {
    on_every_adapter(|gpu| {
        for (policy, clip) in [
            (StatePolicy::Maintain, Clip::None),
            (StatePolicy::Interpolate, Clip::GlobalNorm(0.5)),
            (StatePolicy::Reset, Clip::TensorNorm(0.5)),
        ] {
            let one_by_one = trained(gpu, policy, clip, 1000, 1);
            assert_eq!(trained(gpu, policy, clip, 1000, 1000), one_by_one, "{policy:?}, {clip:?}");
            // A batch that fits neither k nor the control ring.
            assert_eq!(trained(gpu, policy, clip, 1000, 77), one_by_one, "{policy:?}, {clip:?}");
        }
    });
}

#[test]
fn two_runs_are_bit_equal() {
    on_every_adapter(|gpu| {
        let run = || trained(gpu, StatePolicy::Interpolate, Clip::GlobalNorm(0.5), 50, 5);
        assert_eq!(run(), run());
    });
}

/// Encoders that are dropped hold slots of the control ring for ever: it must go on without them.
#[test]
fn encoders_that_are_never_submitted_do_no_harm() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(gpu, StatePolicy::Maintain, Clip::None);
        for _ in 0..3000 {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            optimizer.step(&mut encoder).unwrap();
        }
        let before = optimizer.export_blocking().unwrap();
        train(gpu, &mut optimizer, 3, 1);
        let after = optimizer.export_blocking().unwrap();
        assert_ne!(before.tensors, after.tensors);
        assert!(after.tensors.iter().all(|tensor| tensor.fields[0].1.iter().all(|value| value.is_finite())));
    });
}

/// wgpu counts live objects: a thousand more steps leave as many as a thousand did.
#[test]
fn the_steady_state_makes_no_gpu_objects() {
    on_every_adapter(|gpu| {
        // A device of its own: other tests make objects on the shared ones.
        let gpu = &pollster::block_on(Gpu::with_limits(&gpu.adapter, gpu.device.limits())).unwrap();
        let objects = || {
            gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            let hal = gpu.device.get_internal_counters().hal;
            [
                &hal.buffers,
                &hal.bind_groups,
                &hal.bind_group_layouts,
                &hal.compute_pipelines,
                &hal.shader_modules,
            ]
            .map(|counter| counter.read())
        };
        let mut optimizer = build(gpu, StatePolicy::Interpolate, Clip::GlobalNorm(0.5));
        // The control ring grows while steps are recorded faster than they are done: wait now and then.
        let mut train = || {
            for _ in 0..10 {
                train(gpu, &mut optimizer, 100, 10);
                gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            }
        };
        train();
        let before = objects();
        train();
        assert_eq!(objects(), before);
        assert!(before[0] > 0, "wgpu counts");
    });
}
