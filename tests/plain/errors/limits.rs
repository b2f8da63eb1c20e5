//! Devices that offer too little.

use lookahead_wgpu::{
    Builder, Clip, Error, Lookahead, Optimizer, Slice, StatePolicy,
    rules::Adam,
    wgpu::{BufferUsages, Limits},
};

use super::{Noop, check, sgd};

/// What needs most: state, its slow copies, and norms.
fn demanding(clip: Clip) -> Builder {
    let interpolate = Lookahead::default().policy(StatePolicy::Interpolate);
    Optimizer::builder(Adam::default()).lookahead(interpolate).clip(clip)
}

#[test]
fn too_few_storage_buffers() {
    let with = |max_storage_buffers_per_shader_stage| {
        Noop::with(Limits { max_storage_buffers_per_shader_stage, ..Limits::defaults() })
    };
    let few = ["max_storage_buffers_per_shader_stage = 2", "4 is needed", "adam", "higher limit"];
    let adam = || Optimizer::builder(Adam::default()).lookahead(Lookahead::default()).tensor("w", &[3]);
    check(with(2).refuse(adam()), "Limit", &few);
    with(4).build(adam());
    with(2).build(sgd().tensor("w", &[3]));
    // The first pass of a norm needs spans and partial sums beside weights and gradients.
    let norm = sgd().clip(Clip::GlobalNorm(1.0)).tensor("w", &[3]);
    check(with(3).refuse(norm), "Limit", &["= 3", "5 is needed", "GlobalNorm"]);
    with(5).build(sgd().clip(Clip::GlobalNorm(1.0)).tensor("w", &[3]));
    let most = demanding(Clip::TensorNorm(1.0)).tensor("w", &[3]);
    check(with(7).refuse(most), "Limit", &["= 7", "8 is needed"]);
    with(8).build(demanding(Clip::TensorNorm(1.0)).tensor("w", &[3]));
}

#[test]
fn buffers_and_dispatches_that_are_too_small() {
    let defaults = Limits::defaults;
    for (limits, told) in [
        (Limits { max_buffer_size: 1024, ..defaults() }, "max_buffer_size = 1024, and 2048 is needed"),
        (
            Limits { max_storage_buffer_binding_size: 512, ..defaults() },
            "max_storage_buffer_binding_size = 512, and 2048",
        ),
        (
            Limits { max_compute_invocations_per_workgroup: 0, ..defaults() },
            "max_compute_invocations_per_workgroup = 0",
        ),
        (Limits { max_compute_workgroup_size_x: 0, ..defaults() }, "max_compute_workgroup_size_x = 0"),
        (
            Limits { max_compute_workgroups_per_dimension: 8, ..defaults() },
            "max_compute_workgroups_per_dimension = 8, and 32",
        ),
    ] {
        check(Noop::with(limits).refuse(sgd().tensor("w", &[3])), "Limit", &[told]);
    }
}

/// Every limit that compute shaders know, lowered on its own: the optimizer works, or says what it misses.
#[test]
fn no_low_limit_is_a_panic() {
    type Set = fn(&mut Limits, u32);
    let lower: [(&str, Set); 15] = [
        ("max_bind_groups", |limits, to| limits.max_bind_groups = to),
        ("max_bindings_per_bind_group", |limits, to| limits.max_bindings_per_bind_group = to),
        ("max_dynamic_uniform_buffers_per_pipeline_layout", |limits, to| {
            limits.max_dynamic_uniform_buffers_per_pipeline_layout = to;
        }),
        ("max_storage_buffers_per_shader_stage", |limits, to| {
            limits.max_storage_buffers_per_shader_stage = to;
        }),
        ("max_uniform_buffers_per_shader_stage", |limits, to| {
            limits.max_uniform_buffers_per_shader_stage = to;
        }),
        ("max_uniform_buffer_binding_size", |limits, to| limits.max_uniform_buffer_binding_size = to.into()),
        ("max_storage_buffer_binding_size", |limits, to| limits.max_storage_buffer_binding_size = to.into()),
        ("max_buffer_size", |limits, to| limits.max_buffer_size = to.into()),
        ("max_compute_workgroup_storage_size", |limits, to| limits.max_compute_workgroup_storage_size = to),
        ("max_compute_invocations_per_workgroup", |limits, to| {
            limits.max_compute_invocations_per_workgroup = to;
        }),
        ("max_compute_workgroup_size_x", |limits, to| limits.max_compute_workgroup_size_x = to),
        ("max_compute_workgroup_size_y", |limits, to| limits.max_compute_workgroup_size_y = to),
        ("max_compute_workgroup_size_z", |limits, to| limits.max_compute_workgroup_size_z = to),
        ("max_compute_workgroups_per_dimension", |limits, to| {
            limits.max_compute_workgroups_per_dimension = to;
        }),
        ("max_non_sampler_bindings", |limits, to| limits.max_non_sampler_bindings = to),
    ];
    for (name, set) in lower {
        for to in [0, 1, 2, 4, 6, 16, 27, 63, 128, 2048, 65_535, 131_071] {
            let mut limits = Limits::defaults();
            set(&mut limits, to);
            let noop = Noop::with(limits);
            for clip in [Clip::None, Clip::TensorNorm(1.0)] {
                let build = |builder: Builder| match builder.build_blocking(&noop.device, &noop.queue) {
                    Ok(optimizer) => Some(optimizer),
                    Err(Error::Limit { limit, offered, .. }) => {
                        assert_eq!((limit, offered), (name, u64::from(to)));
                        None
                    }
                    Err(other) => panic!("{name} = {to}: {other}"),
                };
                if let Some(mut optimizer) = build(demanding(clip).tensor("w", &[300])) {
                    noop.step(&mut optimizer).unwrap();
                }
                if name != "max_buffer_size" || to > 2560 {
                    let buffer = noop.buffer(2560, BufferUsages::STORAGE);
                    let weights = Slice::new(&buffer, 4, 1200);
                    if let Some(mut optimizer) = build(demanding(clip).borrowed("w", &[300], weights)) {
                        let slices = [("w", Slice::new(&buffer, 1280, 1200))];
                        let gradients = optimizer.borrow_gradients_blocking(&slices).unwrap();
                        optimizer.step_with(&mut noop.encoder(), &gradients).unwrap();
                    }
                }
            }
        }
    }
}
