//! The memory report: exact, and Lookahead adds one copy of the parameters and nothing else.

mod common;

use common::on_every_adapter;
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Guard, Half, Lookahead, Memory, Optimizer, Options, Rule,
    StatePolicy,
    gpu::Gpu,
    outer::Nesterov,
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
        RmsProp, Sgd,
    },
};

const SHAPES: [(&str, &[usize]); 3] = [("a", &[30, 20]), ("b", &[128]), ("c", &[1])];

/// Values of the tensors, each rounded up to a block of 128.
const VALUES: u64 = 640 + 128 + 128;

fn build(gpu: &Gpu, rule: Box<dyn Rule>, lookahead: Option<Lookahead>, options: &Options) -> Optimizer {
    let mut builder = Optimizer::builder(rule).options(options.clone());
    builder = lookahead.into_iter().fold(builder, |builder, lookahead| builder.lookahead(lookahead));
    let builder = SHAPES.iter().fold(builder, |builder, (name, shape)| builder.tensor(name, shape));
    builder.build_blocking(&gpu.device, &gpu.queue).unwrap()
}

fn rules() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(Sgd::new(0.1)),
        Box::new(Sgd::new(0.1).momentum(0.9)),
        Box::new(Adagrad::new(0.1)),
        Box::new(RmsProp::new(0.1)),
        Box::new(RmsProp::new(0.1).centered(true).momentum(0.9)),
        Box::new(Adadelta::new(0.1)),
        Box::new(Adam::new(0.1)),
        Box::new(AdamW::new(0.1)),
        Box::new(Adam::new(0.1).amsgrad(true)),
        Box::new(Adamax::new(0.1)),
        Box::new(NAdam::new(0.1)),
        Box::new(RAdam::new(0.1)),
        Box::new(Ranger::new(0.1)),
        Box::new(AdaBelief::new(0.1)),
        Box::new(Lion::new(0.1)),
        Box::new(Lars::new(0.1)),
        Box::new(Lamb::new(0.1)),
        Box::new(AdaFactor::new(0.1).min_dim_size_to_factor(16)),
    ]
}

/// One test, since the second part counts what is alive on the device.
#[test]
fn the_memory_report_is_exact() {
    lookahead_adds_one_copy_of_the_parameters_and_nothing_else();
    the_report_is_what_the_device_allocates();
}

fn lookahead_adds_one_copy_of_the_parameters_and_nothing_else() {
    on_every_adapter(|gpu| {
        for (index, rule) in rules().into_iter().enumerate() {
            let name = rule.name().to_owned();
            // AdaFactor has 30 rows and 20 columns of "a", and the whole of the others.
            let state = match rule.factored(1) {
                Some(_) => 4 * (30 + 20 + 128 + 1),
                None => 4 * VALUES * rule.slots().len() as u64,
            };
            let alone = build(gpu, rule, None, &Options::default()).memory();
            let sizes = (alone.weights, alone.gradients, alone.state);
            assert_eq!(sizes, (4 * VALUES, 4 * VALUES, state), "{name}");
            for policy in [StatePolicy::Maintain, StatePolicy::Reset, StatePolicy::Interpolate] {
                let rule = rules().swap_remove(index);
                let with =
                    build(gpu, rule, Some(Lookahead::default().policy(policy)), &Options::default()).memory();
                let copies = if policy == StatePolicy::Interpolate { state } else { 0 };
                assert_eq!(with, Memory { slow_weights: 4 * VALUES, slow_state: copies, ..alone }, "{name}");
            }
        }
    });
}

/// The report is what wgpu counts, to the byte.
fn the_report_is_what_the_device_allocates() {
    on_every_adapter(|gpu| {
        // wgpu counts nothing there.
        if gpu.info.backend == wgpu::Backend::Gl {
            return;
        }
        let everything = Options {
            clip: Clip::TensorNorm(1.0),
            outer: std::sync::Arc::new(Nesterov::default()),
            adaptive: Some(AdaptiveAlpha::new(0.1)),
            average: Some(Average::Ema { decay: 0.9 }),
            accumulate: Some(Accumulation::mean(2)),
            centralise: true,
            guard: Some(Guard::default()),
            half_weights: Some(Half::F16),
            half_gradients: Some(Half::Bf16),
            slow_bf16: true,
            maximize: true,
            gradient_norms: true,
        };
        let interpolate = Lookahead::default().policy(StatePolicy::Interpolate);
        for (lookahead, options) in [
            (None, Options::default()),
            (Some(Lookahead::default()), Options::default()),
            (Some(interpolate), everything),
        ] {
            let before = buffer_bytes(gpu);
            let optimizer = build(gpu, Box::new(Sgd::new(0.1).momentum(0.9)), lookahead, &options);
            let made = buffer_bytes(gpu) - before;
            assert_eq!(optimizer.memory().total(), made, "{lookahead:?}\n{}", optimizer.memory());
        }
    });
}

/// Bytes of all buffers that are alive on the device.
fn buffer_bytes(gpu: &Gpu) -> u64 {
    // Frees what was staged.
    common::submit(gpu, |_| ());
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let bytes = gpu.device.get_internal_counters().hal.buffer_memory.read();
    u64::try_from(bytes).unwrap()
}
