//! What a plan tells without a device is what an optimizer is on one.

use lookahead_wgpu::{
    Anderson, Average, Builder, Clip, Error, Guard, Half, Limits, Lookahead, Optimizer, Rule, Shape,
    StatePolicy,
    outer::Nesterov,
    rules::{AdaFactor, Adam, Sgd},
    wgpu,
};

fn builder(rule: impl Rule + 'static, lookahead: Option<Lookahead>) -> Builder {
    let builder = Optimizer::builder(rule).tensor("weight", &[300, 20]).tensor("bias", &[20]);
    match lookahead {
        Some(lookahead) => builder.lookahead(lookahead),
        None => builder,
    }
}

fn noop() -> (wgpu::Device, wgpu::Queue) {
    let required_limits = wgpu::Limits::defaults();
    wgpu::Device::noop(&wgpu::DeviceDescriptor { required_limits, ..Default::default() })
}

type Make = fn() -> Builder;

const CASES: &[Make] = &[
    || builder(Sgd::new(0.1), None),
    || builder(Adam::default(), Some(Lookahead::default())),
    || builder(Adam::default(), Some(Lookahead::new(3, 0.5).policy(StatePolicy::Interpolate))),
    || builder(AdaFactor::new(0.1), Some(Lookahead::new(3, 0.5).policy(StatePolicy::Interpolate))),
    || {
        builder(Adam::default(), Some(Lookahead::default()))
            .clip(Clip::TensorNorm(1.0))
            .guard(Guard::default())
    },
    || {
        let builder = builder(Adam::default(), Some(Lookahead::default())).outer(Nesterov::default());
        builder.average(Average::Ema { decay: 0.9 }).half_weights(Half::F16).half_gradients(Half::Bf16)
    },
];

#[test]
fn memory_traffic_and_dispatches_are_those_of_the_optimizer() {
    let (device, queue) = noop();
    let limits = Limits::from(&device.limits());
    assert_eq!(limits, Limits::default(), "WebGPU's defaults");
    let shape = Shape::from(&device.adapter_info());
    for make in CASES {
        let (plan, optimizer) =
            (make().shape(shape).plan(&limits).unwrap(), make().build_blocking(&device, &queue).unwrap());
        assert_eq!(plan.memory(), optimizer.memory());
        assert_eq!(plan.traffic(), optimizer.traffic());
        assert_eq!(plan.dispatches(), optimizer.dispatches());
        assert!(plan.to_string().contains("lookahead weights"), "{plan}");
    }
}

#[test]
fn steps_on_paper_are_a_cycle() {
    let mut plan = builder(Adam::default(), Some(Lookahead::new(3, 0.5))).plan(&Limits::default()).unwrap();
    let flags: Vec<Vec<u32>> =
        (0..7).map(|_| plan.step().unwrap().iter().map(|dispatch| dispatch.flags).collect()).collect();
    // The first step seeds the slow weights, for which there is no pipeline of its own.
    assert_eq!(flags, [[0], [1], [3], [1], [1], [3], [1]]);
    let accelerated = builder(Adam::default(), Some(Lookahead::new(3, 0.5))).anderson(Anderson::new(2));
    let mut plan = accelerated.plan(&Limits::default()).unwrap();
    let entries: Vec<Vec<_>> = (0..6)
        .map(|_| plan.step().unwrap().iter().map(|dispatch| (dispatch.entry, dispatch.flags)).collect())
        .collect();
    let keeps = 1 | 1 << 16;
    let last = [("la_step", keeps), ("la_residuals", 0), ("la_solve", 0), ("la_step", 2)];
    assert_eq!(entries[1..3], [vec![("la_step", keeps)], last.to_vec()]);
    assert_eq!(entries[3..], [vec![("la_step", 1)], vec![("la_step", keeps)], last.to_vec()]);
    let mut plan =
        builder(Adam::default(), None).clip(Clip::GlobalNorm(1.0)).plan(&Limits::default()).unwrap();
    let entries: Vec<_> = plan.step().unwrap().iter().map(|dispatch| dispatch.entry).collect();
    assert_eq!(entries, ["la_partial", "la_finish", "la_step"]);
}

#[test]
fn limits_that_are_too_low_are_told() {
    let mut limits = Limits::default();
    limits.max_storage_buffers_per_shader_stage = 4;
    assert!(CASES[1]().plan(&limits).is_ok());
    let refused = CASES[1]().clip(Clip::GlobalNorm(1.0)).plan(&limits).unwrap_err();
    let Error::Limit { limit, needed, offered, .. } = refused else { panic!("{refused}") };
    assert_eq!((limit, needed, offered), ("max_storage_buffers_per_shader_stage", 7, 4));
}

#[test]
fn weights_are_exchanged_back_whatever_happens_meanwhile() {
    let (device, queue) = noop();
    let builder = CASES[1]().average(Average::Ema { decay: 0.9 });
    let mut optimizer = builder.build_blocking(&device, &queue).unwrap();
    let mut encoder = device.create_command_encoder(&Default::default());
    optimizer.step(&mut encoder).unwrap();
    assert_eq!(optimizer.with_slow(&mut encoder, |_| 7), Ok(7));
    assert_eq!(optimizer.with_average(&mut encoder, |_| 8), Ok(8));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        optimizer.with_slow(&mut encoder, |_| panic!("in the middle"))
    }));
    assert!(panicked.is_err());
    optimizer.step(&mut encoder).unwrap();
    optimizer.swap_slow(&mut encoder).unwrap();
    assert_eq!(optimizer.with_slow(&mut encoder, |_| ()), Err(Error::Swapped { call: "with_slow" }));
    assert_eq!(optimizer.with_average(&mut encoder, |_| ()), Err(Error::Swapped { call: "with_average" }));
    optimizer.swap_slow(&mut encoder).unwrap();
    optimizer.step(&mut encoder).unwrap();
}
