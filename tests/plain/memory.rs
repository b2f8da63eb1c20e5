//! The memory report: Lookahead adds one copy of the parameters and nothing else.

use lookahead_wgpu::{
    Anderson, Limits, Lookahead, Memory, Optimizer, Options, Rule, StatePolicy,
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
        RmsProp, Sgd,
    },
    wgpu,
};

const SHAPES: [(&str, &[usize]); 3] = [("a", &[30, 20]), ("b", &[128]), ("c", &[1])];

/// Values of the tensors, each rounded up to a block of 128.
const VALUES: u64 = 640 + 128 + 128;

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

#[test]
fn lookahead_adds_one_copy_of_the_parameters_and_nothing_else() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let memory = |rule: Box<dyn Rule>, lookahead: Option<Lookahead>| {
        let builder = SHAPES
            .iter()
            .fold(Optimizer::builder(rule), |builder, (name, shape)| builder.tensor(name, shape));
        let builder = lookahead.into_iter().fold(builder, |builder, lookahead| builder.lookahead(lookahead));
        builder.build_blocking(&device, &queue).unwrap().memory()
    };
    for (index, rule) in rules().into_iter().enumerate() {
        let name = rule.name().to_owned();
        // AdaFactor has 30 rows and 20 columns of "a", and the whole of the others.
        let state = match rule.factored(1) {
            Some(_) => 4 * (30 + 20 + 128 + 1),
            None => 4 * VALUES * rule.slots().len() as u64,
        };
        let alone = memory(rule, None);
        let sizes = (alone.weights, alone.gradients, alone.state);
        assert_eq!(sizes, (4 * VALUES, 4 * VALUES, state), "{name}");
        for policy in [StatePolicy::Maintain, StatePolicy::Reset, StatePolicy::Interpolate] {
            let rule = rules().swap_remove(index);
            let with = memory(rule, Some(Lookahead::default().policy(policy)));
            let copies = if policy == StatePolicy::Interpolate { state } else { 0 };
            assert_eq!(with, Memory { slow_weights: 4 * VALUES, slow_state: copies, ..alone }, "{name}");
        }
    }
}

/// A round of several tasks keeps their mean, and reads and writes it at their ends.
#[test]
fn tasks_add_one_more_copy() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let build = |tasks: u32| {
        let builder = Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::default().tasks(tasks));
        let builder = builder.tensor("a", &[30, 20]).tensor("b", &[128]).tensor("c", &[1]);
        builder.build_blocking(&device, &queue).unwrap()
    };
    let (one, two) = (build(1), build(2));
    assert_eq!(two.memory(), Memory { task_mean: 4 * VALUES, ..one.memory() });
    assert!(two.memory().to_string().contains("task mean"));
    let bytes = 4 * (600 + 128 + 1);
    let (one, two) = (one.traffic(), two.traffic());
    assert_eq!((one.task, two.task), (0, 3 * bytes));
    assert_eq!((two.step, two.sync), (one.step, one.sync + bytes));
}

#[test]
fn anderson_acceleration_keeps_a_copy_for_each_column() {
    let plan = |anderson: Option<Anderson>| {
        let builder = Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(6, 0.5));
        let builder = builder.options(Options::default().anderson(anderson));
        let builder = SHAPES.iter().fold(builder, |builder, (name, shape)| builder.tensor(name, shape));
        builder.plan(&Limits::default()).unwrap()
    };
    let alone = plan(None);
    for columns in [1, 3, 6] {
        let with = plan(Some(Anderson::new(columns)));
        let memory = with.memory();
        let iterates = 4 * VALUES * u64::from(columns);
        assert_eq!(memory, Memory { iterates, controls: memory.controls, ..alone.memory() });
        // Written once, read twice; the weights twice and once more.
        let values = 4 * (600 + 128 + 1);
        let (traffic, before) = (with.traffic(), alone.traffic());
        assert_eq!(traffic.step, before.step);
        assert_eq!(traffic.sync - before.sync, values * (3 * u64::from(columns) + 3));
    }
}
