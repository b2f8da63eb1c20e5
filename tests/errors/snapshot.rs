//! Snapshots that do not fit.

use lookahead_wgpu::{
    Builder, Group, Lookahead, Optimizer, Rule, Snapshot, StatePolicy,
    rules::{Adam, AdamW, Sgd},
};

use crate::{Noop, check};

fn builder(rule: impl Rule + 'static, policy: Option<StatePolicy>) -> Builder {
    let lookahead = policy.map(|policy| Lookahead::new(4, 0.5).policy(policy));
    let builder = Optimizer::builder(rule).group(Group::new("head").rule(Sgd::new(0.1)));
    let builder = builder.tensor("w", &[2, 3]).tensor_in("head", "v", &[5]);
    lookahead.into_iter().fold(builder, Builder::lookahead)
}

fn interpolated() -> Builder {
    builder(Adam::default(), Some(StatePolicy::Interpolate))
}

/// Three steps in.
fn snapshot(noop: &Noop) -> Snapshot {
    let mut optimizer = noop.build(interpolated());
    optimizer.upload("w", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    for _ in 0..3 {
        noop.step(&mut optimizer).unwrap();
    }
    optimizer.export_blocking().unwrap()
}

#[test]
fn snapshots_that_fit() {
    let noop = Noop::new();
    let snapshot = snapshot(&noop);
    let mut optimizer = noop.build(interpolated());
    optimizer.import(&snapshot).unwrap();
    assert_eq!((optimizer.steps(), optimizer.position("head").unwrap()), (3, 3));
    assert_eq!(optimizer.step_count("default").unwrap(), 3);
    assert_eq!(optimizer.export_blocking().unwrap(), snapshot);
    noop.step(&mut optimizer).unwrap();
    assert_eq!((optimizer.steps(), optimizer.position("default").unwrap()), (4, 0));
}

#[test]
fn snapshots_of_another_configuration() {
    let noop = Noop::new();
    let snapshot = snapshot(&noop);
    let adam = || Optimizer::builder(Adam::default()).lookahead(Lookahead::new(4, 0.5));
    for (other, told) in [
        (
            builder(AdamW::default(), Some(StatePolicy::Interpolate)),
            &["rule of the group `default` is `adam` in it and `adamw` here"][..],
        ),
        (
            builder(Adam::default(), Some(StatePolicy::Reset)),
            &["policy of the group `default`", "Interpolate", "Reset"],
        ),
        (builder(Adam::default(), None), &["policy of the group `default`", "Interpolate", "None"]),
        (adam().tensor("w", &[2, 3]), &["it has 2 groups, and the optimizer has 1"]),
        (interpolated().tensor("bias", &[1]), &["it has 2 tensors, and the optimizer has 3"]),
        (
            adam().group(Group::new("tail")).tensor("w", &[2, 3]).tensor_in("tail", "v", &[5]),
            &["policy of the group `default`"],
        ),
        (
            interpolated().lookahead(Lookahead::new(3, 0.5).policy(StatePolicy::Interpolate)),
            &["the group `default` is at step 3 of a cycle of 3 here"],
        ),
    ] {
        let mut optimizer = noop.build(other);
        let error = optimizer.import(&snapshot).unwrap_err();
        check(error, "Snapshot", &[&["the snapshot does not fit"], told].concat());
        assert_eq!(optimizer.steps(), 0);
    }
}

#[test]
fn snapshots_that_were_changed() {
    type Change = fn(&mut Snapshot);
    let changes: [(Change, &[&str]); 16] = [
        (|it| it.groups.swap(0, 1), &["its group `head` is `default` here"]),
        (|it| it.groups[0].position = 4, &["at step 4 of a cycle of 4"]),
        (|it| it.tensors.swap(0, 1), &["its tensor `v` [5] is `w` [2, 3] here"]),
        (|it| it.tensors[1].shape = vec![1, 5], &["its tensor `v` [1, 5] is `v` [5] here"]),
        (|it| it.tensors[0].fields[0].1.truncate(5), &["`weights` of `w` has 5 values, not 6"]),
        (|it| it.tensors[0].fields[1].1.clear(), &["`slow_weights` of `w` has 0 values, not 6"]),
        (|it| drop(it.tensors[1].fields.pop()), &["`slow_weights` of `v` is missing"]),
        (|it| it.tensors[0].fields[3].1.push(0.0), &["exp_avg_sq", "of `w` has 7 values, not 6"]),
        (|it| it.tensors[0].fields[3].0 = "state.v".to_owned(), &["`w` has `state.v` in it"]),
        (|it| drop(it.tensors[0].fields.pop()), &["exp_avg_sq", "of `w` is missing"]),
        (|it| it.tensors[1].fields.push(("state.m".to_owned(), vec![0.0; 5])), &["`v` has `state.m` in it"]),
        (|it| it.outer = "nesterov".to_owned(), &["its outer step is `nesterov`, and `interpolation` here"]),
        (|it| it.gathered = 1, &["1 micro-batches are gathered in it, and a step has 1 here"]),
        (|it| it.loss_scale = f32::NAN, &["its loss scale is NaN"]),
        (|it| it.loss_unscale = 0.5, &["its loss scale is 1, and the inverse of it 0.5"]),
        (|it| it.tensors[1].group = "default".to_owned(), &["its tensor `v` is `default`, and `head` here"]),
    ];
    let noop = Noop::new();
    let good = snapshot(&noop);
    let mut optimizer = noop.build(interpolated());
    let before = optimizer.export_blocking().unwrap();
    for (change, told) in changes {
        let mut changed = good.clone();
        change(&mut changed);
        check(optimizer.import(&changed).unwrap_err(), "Snapshot", told);
        assert_eq!(optimizer.export_blocking().unwrap(), before);
    }
    optimizer.import(&good).unwrap();
}
