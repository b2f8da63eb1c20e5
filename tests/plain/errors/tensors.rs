//! Names, shapes and numbers of values.

use lookahead_wgpu::{Field, Group, Lookahead, Optimizer, StatePolicy, rules::Adam, wgpu};

use super::{Noop, check, lookahead, sgd};

#[test]
fn no_tensor_at_all() {
    check(Noop::new().refuse(sgd()), "NoTensors", &["at least one tensor", "tensor(name, shape)"]);
}

#[test]
fn empty_names() {
    let noop = Noop::new();
    check(noop.refuse(sgd().tensor("", &[1])), "EmptyName", &["a tensor has an empty name"]);
    let builder = sgd().group(Group::new("")).tensor("w", &[1]);
    check(noop.refuse(builder), "EmptyName", &["a group has an empty name"]);
}

#[test]
fn names_that_are_there_twice() {
    let noop = Noop::new();
    let tensors = sgd().tensor("w", &[1]).tensor("v", &[1]).tensor("w", &[2]);
    check(noop.refuse(tensors), "DuplicateName", &["the tensor `w` is there twice"]);
    let groups = sgd().group(Group::new("head")).group(Group::new("head")).tensor("w", &[1]);
    check(noop.refuse(groups), "DuplicateName", &["the group `head` is there twice"]);
    let default = sgd().group(Group::new("default")).tensor("w", &[1]);
    check(noop.refuse(default), "DuplicateName", &["the group `default` is there twice"]);
}

#[test]
fn unknown_names() {
    let noop = Noop::new();
    let builder = sgd().group(Group::new("head")).tensor_in("haed", "w", &[1]);
    check(noop.refuse(builder), "UnknownName", &["no group `haed`", "`default`, `head`"]);

    let mut optimizer = noop.build(lookahead(5, 0.5).tensor("bias", &[1]));
    let unknown = ["no tensor `v`", "`w`, `bias`"];
    check(optimizer.weights("v").unwrap_err(), "UnknownName", &unknown);
    check(optimizer.gradients("v").unwrap_err(), "UnknownName", &unknown);
    check(optimizer.slow_weights("v").unwrap_err(), "UnknownName", &unknown);
    check(optimizer.upload("v", &[0.0; 3]).unwrap_err(), "UnknownName", &unknown);
    check(optimizer.download_blocking(Field::Weights, "v").unwrap_err(), "UnknownName", &unknown);
    let slot = optimizer.download_blocking(Field::State("exp_avg"), "w").unwrap_err();
    check(slot, "UnknownName", &["no field of the tensor `state.exp_avg`", "there are: none"]);

    let interpolate = Lookahead::default().policy(StatePolicy::Interpolate);
    let adam = Optimizer::builder(Adam::default()).tensor("w", &[3]);
    let optimizer = noop.build(adam.lookahead(interpolate));
    let slot = optimizer.download_blocking(Field::SlowState("m"), "w").unwrap_err();
    check(
        slot,
        "UnknownName",
        &["no field of the tensor `slow_state.m`", "`slow_state.exp_avg`, `slow_state.exp_avg_sq`"],
    );
    let adam = Optimizer::builder(Adam::default()).tensor("w", &[3]);
    let optimizer = noop.build(adam.lookahead(Lookahead::default()));
    let slot = optimizer.download_blocking(Field::SlowState("exp_avg"), "w").unwrap_err();
    check(slot, "UnknownName", &["`slow_state.exp_avg`", "there are: `state.exp_avg`, `state.exp_avg_sq`"]);
}

#[test]
fn shapes_without_elements_or_with_too_many() {
    let noop = Noop::new();
    for (shape, parts) in [
        (&[0][..], ["[0]", "no elements"]),
        (&[3, 0], ["[3, 0]", "no elements"]),
        (&[1 << 40], ["[1099511627776]", "more than 2^36 elements (256 GiB)"]),
        (&[usize::MAX, 2], ["18446744073709551615, 2]", "more than 2^36"]),
    ] {
        let error = noop.refuse(sgd().tensor("fine", &[1]).tensor("w", shape));
        check(error, "Shape", &[&["tensor `w`"], parts.as_slice()].concat());
    }
    noop.build(sgd().tensor("a scalar", &[]));
}

#[test]
fn uploads_of_another_length() {
    let mut optimizer = Noop::new().build(sgd().tensor("w", &[3]));
    for len in [0, 2, 4] {
        let error = optimizer.upload("w", &vec![1.0; len]).unwrap_err();
        check(error, "Length", &["tensor `w` has 3 elements", &format!("{len} were given")]);
    }
    optimizer.upload("w", &[1.0; 3]).unwrap();
}

#[test]
fn tensors_larger_than_a_binding_have_no_single_slice() {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 2048, ..wgpu::Limits::defaults() };
    let optimizer = Noop::with(limits).build(sgd().lookahead(Lookahead::default()).tensor("w", &[1100]));
    let told = ["tensor `w` lies in 3 buffers", "use the slices one by one"];
    check(optimizer.weights("w").unwrap_err(), "Split", &told);
    check(optimizer.gradients("w").unwrap_err(), "Split", &told);
    check(optimizer.slow_weights("w").unwrap_err(), "Split", &told);
    let sizes: Vec<_> =
        optimizer.buffers(Field::Weights, "w").unwrap().iter().map(|slice| slice.size).collect();
    assert_eq!(sizes, [2048, 2048, 304]);
}

/// As the documentation of `Optimizer` has them.
#[test]
fn usages_of_the_buffers_that_are_given_out() {
    use lookahead_wgpu::{
        AdaptiveAlpha, Average, Guard, Half, Lookahead, alpha::Curvature, wgpu::BufferUsages,
    };
    let builder = super::sgd()
        .lookahead(Lookahead::default())
        .half_weights(Half::F16)
        .average(Average::Ema { decay: 0.9 })
        .adaptive(AdaptiveAlpha::new(0.1).curvature(Curvature::Given))
        .guard(Guard::default())
        .variance_reduced()
        .tensor("w", &[3]);
    let optimizer = Noop::new().build(builder);
    let read = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
    for slice in [
        optimizer.weights("w").unwrap(),
        optimizer.slow_weights("w").unwrap(),
        optimizer.half_weights("w").unwrap(),
        optimizer.average("w").unwrap(),
        optimizer.gradients("w").unwrap(),
        optimizer.curvature("w").unwrap(),
        optimizer.snapshot_gradients("w").unwrap(),
        optimizer.full_gradients("w").unwrap(),
        optimizer.loss_scale().unwrap(),
    ] {
        assert_eq!(slice.buffer.usage(), read | BufferUsages::COPY_DST);
    }
    for buffer in [optimizer.gradient_norms().unwrap(), optimizer.alphas().unwrap()] {
        assert_eq!(buffer.usage(), read);
    }
}
