//! Checkpoints: files are whole or refused, and weights and state are exchanged with PyTorch.

mod files;
mod format;
mod settings;
mod torch;
mod weights;

use lookahead_wgpu::{CycleSnapshot, Error, GroupSnapshot, Schedule, Snapshot, StatePolicy, TensorSnapshot};

/// Checks that a checkpoint is refused for what each of these says.
#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, parts: &[&str]) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Checkpoint { .. }), "{error:?}");
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

/// Two tensors in two groups, with values that only bits tell apart.
fn snapshot() -> Snapshot {
    let group = |name: &str, rule: &str, policy, count| GroupSnapshot {
        name: name.to_owned(),
        rule: rule.to_owned(),
        policy,
        count,
        position: 2,
        initialised: true,
        learning_rate: 0.1 + 0.2,
        learning_rate_factor: 1.0 / 3.0,
        k: policy.map(|_| 5),
        alpha: policy.map(|_| 0.7),
        tasks: if name == "head" { 4 } else { 1 },
        frozen: Some(name == "head"),
        weight_decay: Some(0.1),
        hyperparameters: vec![("beta1".to_owned(), 0.9), ("eps".to_owned(), 1e-8)],
        cycle: (name == "head").then_some(CycleSnapshot { k: 3, one_minus_alpha: 0.1 }),
    };
    let tensor = |name: &str, group: &str, shape: &[usize], fields: &[&str]| {
        let len = shape.iter().product();
        let values =
            |field: usize| (0..len).map(|value| (field * 100 + name.len() + value) as f32 / 7.0).collect();
        TensorSnapshot {
            name: name.to_owned(),
            group: group.to_owned(),
            shape: shape.to_vec(),
            fields: fields.iter().enumerate().map(|(at, field)| (field.to_string(), values(at))).collect(),
        }
    };
    let fields = ["weights", "slow_weights", "state.exp_avg", "state.exp_avg_sq"];
    let mut snapshot = Snapshot {
        steps: u64::MAX,
        skipped: 3,
        loss_scale: 65536.0,
        loss_unscale: 1.0 / 65536.0,
        since_rescaled: 17,
        accumulated: 1,
        average_start: 5,
        outer: "interpolation".to_owned(),
        loss_scaling: Some(true),
        schedule: Some(Schedule::cosine(10, 100, 0.1)),
        groups: vec![
            group("default", "adam", Some(StatePolicy::Maintain), 7),
            group("head", "sgd", Some(StatePolicy::Maintain), 9),
        ],
        tensors: vec![
            tensor("layer/1.weight", "default", &[3, 2], &fields),
            tensor("bias", "head", &[4], &["weights", "slow_weights", "state.momentum_buffer"]),
            tensor("layer/22.weight", "default", &[3, 2], &fields),
        ],
    };
    let odd = [f32::from_bits(0x7fa0_0001), -0.0, f32::INFINITY, f32::MIN_POSITIVE / 8.0];
    snapshot.tensors[1].fields[0].1.copy_from_slice(&odd);
    snapshot
}
