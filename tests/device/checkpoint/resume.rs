//! Stopped after every step, saved to a file, loaded into another optimizer and continued.

use crate::common::{noise, on_every_adapter, read_slice, spared, submit, write_gradient};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Anderson, Average, Builder, Clip, Group, Guard, Half, Lookahead, LossScale,
    Optimizer, Rule, Schedule, Snapshot, StatePolicy, TensorSnapshot,
    alpha::{Curvature, GradientAt, Scope},
    gpu::Gpu,
    outer::{HeavyBall, Nesterov, SlowMo},
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
        RmsProp, Sgd,
    },
};

const TENSORS: [(&str, &[usize]); 2] = [("layer/1.weight", &[5, 7]), ("bias", &[3])];

/// Calls of `step`: past two syncs, with k = 3.
const CALLS: u64 = 7;

fn build(gpu: &Gpu, builder: Builder) -> Optimizer {
    let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
    for (name, shape) in TENSORS {
        optimizer.upload(name, &noise(shape.iter().product(), 1)).unwrap();
    }
    optimizer
}

/// Call number `call`, with its own gradients; call number `bad` has one that is infinite.
fn step(gpu: &Gpu, optimizer: &mut Optimizer, call: u64, bad: Option<u64>) {
    for (name, shape) in TENSORS {
        let mut gradient = noise(shape.iter().product(), 100 + call);
        if bad == Some(call) {
            gradient[1] = f32::INFINITY;
        }
        write_gradient(gpu, optimizer, name, &gradient);
    }
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

/// All that there is, to the bit; and the half-width copies, which a snapshot need not hold.
fn everything(gpu: &Gpu, optimizer: &Optimizer) -> (Vec<u8>, Vec<u32>) {
    let copies = TENSORS.iter().filter_map(|(name, _)| optimizer.half_weights(name).ok());
    let copies = copies.flat_map(|slice| read_slice(gpu, &slice)).map(f32::to_bits).collect();
    (optimizer.export_blocking().unwrap().to_bytes().unwrap(), copies)
}

/// Asserts it of one configuration, in which call number `bad` has a gradient that is not finite.
#[track_caller]
fn resumes(gpu: &Gpu, label: &str, builder: impl Fn() -> Builder, calls: u64, bad: Option<u64>) {
    resumes_changed(gpu, label, builder, calls, bad, |_, _| ());
}

/// The same with changes before each call, which are not made anew where they lie before the stop.
#[track_caller]
pub fn resumes_changed(
    gpu: &Gpu,
    label: &str,
    builder: impl Fn() -> Builder,
    calls: u64,
    bad: Option<u64>,
    before: impl Fn(&mut Optimizer, u64),
) {
    if spared(gpu) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |stop: u64| folder.path().join(format!("{stop}.safetensors"));
    let builder = || TENSORS.iter().fold(builder(), |builder, (name, shape)| builder.tensor(name, shape));
    let mut whole = build(gpu, builder());
    for call in 0..calls {
        whole.export_blocking().unwrap().save(file(call)).unwrap();
        before(&mut whole, call);
        step(gpu, &mut whole, call, bad);
    }
    let expected = everything(gpu, &whole);
    let mut other = build(gpu, builder());
    // The last stop first, into an optimizer that has not taken a step; then over what the ones before left.
    for stop in (0..calls).rev() {
        other.import(&Snapshot::load(file(stop)).unwrap()).unwrap();
        let (imported, _) = everything(gpu, &other);
        assert_eq!(imported, std::fs::read(file(stop)).unwrap(), "{label}, imported at {stop}");
        for call in stop..calls {
            before(&mut other, call);
            step(gpu, &mut other, call, bad);
        }
        let found = everything(gpu, &other);
        assert_eq!(found.1, expected.1, "{label}, stopped before call {stop}: half-width copies");
        if found.0 != expected.0 {
            let [found, expected] = [found.0, expected.0].map(|bytes| Snapshot::from_bytes(&bytes).unwrap());
            let differ = |(a, b): (&TensorSnapshot, &TensorSnapshot)| {
                let fields = a.fields.iter().zip(&b.fields).filter(|(a, b)| a != b);
                fields.map(|((field, _), _)| format!("{field} of {}", b.name)).collect::<Vec<_>>()
            };
            let fields: Vec<_> = found.tensors.iter().zip(&expected.tensors).flat_map(differ).collect();
            let [found, expected] = [found, expected].map(|it| Snapshot { tensors: vec![], ..it });
            panic!("{label}, stopped before call {stop}: {fields:?}\n{found:?}\n{expected:?}");
        }
    }
}

fn rules() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(Sgd::new(0.05).weight_decay(0.02)),
        Box::new(Sgd::new(0.02).momentum(0.9).dampening(0.1)),
        Box::new(Sgd::new(0.02).momentum(0.8).nesterov(true)),
        Box::new(Adagrad::new(0.05).lr_decay(0.1).initial_accumulator_value(0.1)),
        Box::new(RmsProp::new(0.01)),
        Box::new(RmsProp::new(0.003).centered(true).momentum(0.8)),
        Box::new(Adadelta::new(0.5)),
        Box::new(Adam::new(0.01).weight_decay(0.01)),
        Box::new(AdamW::new(0.01).weight_decay(0.1)),
        Box::new(Adam::new(0.01).betas(0.8, 0.6).amsgrad(true)),
        Box::new(AdamW::new(0.01).betas(0.8, 0.6).amsgrad(true)),
        Box::new(Adamax::new(0.01)),
        Box::new(NAdam::new(0.01).momentum_decay(0.1)),
        Box::new(RAdam::new(0.01)),
        Box::new(Ranger::new(0.01)),
        Box::new(AdaBelief::new(0.01)),
        Box::new(Lion::new(0.01).weight_decay(0.1)),
        Box::new(Lars::new(0.1).momentum(0.9)),
        Box::new(Lamb::new(0.01).weight_decay(0.1)),
        Box::new(AdaFactor::new(0.05).min_dim_size_to_factor(4).momentum(0.9)),
    ]
}

#[test]
fn every_rule_with_every_policy() {
    on_every_adapter(|gpu| {
        for index in 0..rules().len() {
            for policy in
                [None, Some(StatePolicy::Maintain), Some(StatePolicy::Interpolate), Some(StatePolicy::Reset)]
            {
                let rule = || rules().swap_remove(index);
                let builder = || {
                    let builder = Optimizer::builder(rule());
                    match policy {
                        None => builder,
                        Some(policy) => builder.lookahead(Lookahead::new(3, 0.6).policy(policy)),
                    }
                };
                resumes(gpu, &format!("{:?}, {policy:?}", rule()), builder, CALLS, None);
            }
        }
    });
}

pub fn adam() -> Builder {
    Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(3, 0.6).policy(StatePolicy::Interpolate))
}

#[test]
fn outer_steps_averages_and_accumulation() {
    on_every_adapter(|gpu| {
        resumes(gpu, "heavy ball", || adam().outer(HeavyBall { momentum: 0.8 }), CALLS, None);
        resumes(gpu, "Nesterov", || adam().outer(Nesterov { momentum: 0.8 }), CALLS, None);
        resumes(gpu, "SlowMo", || adam().outer(SlowMo { momentum: 0.7 }), CALLS, None);
        resumes(gpu, "EMA", || adam().average(Average::Ema { decay: 0.9 }), CALLS, None);
        resumes(gpu, "Polyak", || adam().average(Average::Polyak { from: 2 }), CALLS, None);
        resumes(gpu, "SWA", || adam().average(Average::Swa { every: 2, from: 1 }), CALLS, None);
        resumes(gpu, "mean of 2", || adam().accumulate(Accumulation::mean(2)), 2 * CALLS, None);
        resumes(gpu, "sum of 3", || adam().accumulate(Accumulation::sum(3)), 2 * CALLS, None);
    });
}

#[test]
fn adaptive_alpha_and_half_widths() {
    on_every_adapter(|gpu| {
        let fisher = Curvature::Fisher { decay: 0.9 };
        for (at, curvature) in
            [(GradientAt::Synchronised, fisher), (GradientAt::LastStep, Curvature::Corrected)]
        {
            let adaptive = AdaptiveAlpha::new(0.1).gradient(at).curvature(curvature);
            resumes(gpu, &format!("{adaptive:?}"), || adam().adaptive(adaptive), 9, None);
        }
        for at in [GradientAt::Synchronised, GradientAt::LastStep] {
            let builder = || adam().adaptive(AdaptiveAlpha::new(0.1).gradient(at)).guard(Guard::default());
            resumes(gpu, &format!("{at:?}, guarded"), builder, 9, Some(2));
        }
        resumes(gpu, "bf16 slow weights", || adam().slow_bf16(), CALLS, None);
        resumes(
            gpu,
            "bf16 slow weights, guarded",
            || adam().slow_bf16().guard(Guard::default()),
            CALLS,
            Some(1),
        );
        resumes(gpu, "f16 copy", || adam().half_weights(Half::F16), CALLS, None);
        resumes(gpu, "bf16 copy", || adam().half_weights(Half::Bf16), CALLS, None);
    });
}

#[test]
fn anderson_acceleration() {
    on_every_adapter(|gpu| {
        let many = Anderson::new(3);
        resumes(gpu, "every iterate", || adam().anderson(many), CALLS, None);
        resumes(gpu, "tensors, bf16", || adam().anderson(many.scope(Scope::Tensor)).slow_bf16(), CALLS, None);
        let sgd = || Optimizer::builder(Sgd::new(0.1).momentum(0.9)).lookahead(Lookahead::new(6, 0.7));
        resumes(gpu, "every other", || sgd().anderson(Anderson::new(2).stride(2)), 13, None);
        let both =
            || sgd().anderson(many).accumulate(Accumulation::mean(2)).average(Average::Polyak { from: 1 });
        resumes(gpu, "accumulation, average", both, 26, None);
    });
}

#[test]
fn guards_and_loss_scaling() {
    on_every_adapter(|gpu| {
        // Factors whose inverses are not exact.
        let scale = LossScale::default().initial(3.0).growth(1.7).backoff(0.6).interval(2);
        for policy in [StatePolicy::Maintain, StatePolicy::Reset] {
            let lookahead = Lookahead::new(3, 0.6).policy(policy);
            let builder = || Optimizer::builder(Adam::new(0.01)).lookahead(lookahead);
            resumes(gpu, "guard", || builder().guard(Guard::default()), CALLS, Some(1));
            for bad in [None, Some(0), Some(2)] {
                let label = format!("loss scale, {policy:?}, call {bad:?} is bad");
                resumes(gpu, &label, || builder().guard(Guard::loss_scale(scale)), CALLS, bad);
            }
            let all = || {
                builder()
                    .guard(Guard::loss_scale(scale))
                    .accumulate(Accumulation::mean(2))
                    .average(Average::Swa { every: 2, from: 1 })
                    .schedule(Schedule::cosine(3, 6, 0.1))
            };
            resumes(gpu, "guard, accumulation, average, schedule", all, 2 * CALLS, Some(3));
        }
    });
}

#[test]
fn groups_clipping_and_schedules() {
    on_every_adapter(|gpu| {
        let builder = || {
            adam()
                .group(
                    Group::new("head")
                        .rule(Sgd::new(0.1).momentum(0.9))
                        .k(2)
                        .alpha(0.3)
                        .learning_rate_factor(0.5),
                )
                .tensor_in("head", "v", &[11])
                .clip(Clip::GlobalNorm(0.5))
                .schedule(Schedule::cosine(3, 6, 0.1))
        };
        resumes(gpu, "groups", builder, CALLS, None);
    });
}
