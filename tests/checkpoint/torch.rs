//! State under PyTorch's names.

use std::collections::BTreeMap;

use crate::{refused, snapshot};
use lookahead_wgpu::Snapshot;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

type Entries = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn entries(bytes: &[u8]) -> Entries {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let entry = |(name, view): (&str, TensorView<'_>)| {
        (name.to_owned(), (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
    };
    file.iter().map(entry).collect()
}

fn bytes(entries: &Entries) -> Vec<u8> {
    let views = entries.iter().map(|(name, (dtype, shape, data))| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// Without NaN.
fn plain() -> Snapshot {
    let mut snapshot = snapshot();
    snapshot.tensors[1].fields[0].1.fill(1.0);
    snapshot
}

#[test]
fn state_has_the_names_that_pytorch_gives_it() {
    let found = entries(&plain().to_torch().unwrap());
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "bias.momentum_buffer",
            "bias.step",
            "layer/1.weight.exp_avg",
            "layer/1.weight.exp_avg_sq",
            "layer/1.weight.step",
            "layer/22.weight.exp_avg",
            "layer/22.weight.exp_avg_sq",
            "layer/22.weight.step",
        ]
    );
    assert_eq!(found["layer/1.weight.step"], (Dtype::F32, vec![], 7f32.to_le_bytes().to_vec()));
    assert_eq!(found["bias.momentum_buffer"].1, [4]);
}

#[test]
fn state_comes_back() {
    let expected = plain();
    let file = expected.to_torch().unwrap();
    let mut found = plain();
    for tensor in &mut found.tensors {
        tensor.fields.iter_mut().skip(2).for_each(|(_, values)| values.fill(9.0));
    }
    found.groups.iter_mut().for_each(|group| group.count = 0);
    assert_eq!(found.import_torch(&file), Ok(vec![]));
    assert_eq!(found, expected);
}

#[test]
fn a_long_run_keeps_its_count() {
    for count in [0, 1 << 24, (1 << 24) + 1, (1 << 53) - 1] {
        let mut long = plain();
        long.groups[0].count = count;
        let mut found = plain();
        found.import_torch(&long.to_torch().unwrap()).unwrap();
        assert_eq!(found.groups[0].count, count);
    }
}

/// SGD keeps none in PyTorch; older versions keep it as an integer; one more slot is somebody else's.
#[test]
fn steps_are_read_as_pytorch_keeps_them() {
    let mut file = entries(&plain().to_torch().unwrap());
    file.remove("bias.step");
    file.insert("layer/1.weight.mu_product".to_owned(), (Dtype::F32, vec![], vec![0; 4]));
    for name in ["layer/1.weight.step", "layer/22.weight.step"] {
        file.insert(name.to_owned(), (Dtype::I64, vec![1], 12i64.to_le_bytes().to_vec()));
    }
    let mut found = plain();
    found.groups[1].count = 0;
    assert_eq!(found.import_torch(&bytes(&file)), Ok(vec!["layer/1.weight.mu_product".to_owned()]));
    assert_eq!((found.groups[0].count, found.groups[1].count), (12, 1));
}

#[test]
fn state_that_does_not_fit_is_refused_with_nothing_changed() {
    type Change = fn(&mut Entries);
    let changes: [(Change, &[&str]); 8] = [
        (|it| drop(it.remove("layer/22.weight.exp_avg_sq")), &["lacks `layer/22.weight.exp_avg_sq`"]),
        (|it| drop(it.remove("layer/22.weight.step")), &["lacks `layer/22.weight.step`"]),
        (
            |it| it.get_mut("bias.momentum_buffer").unwrap().1 = vec![2, 2],
            &["`bias.momentum_buffer`", "[2, 2]", "[4]"],
        ),
        (|it| it.get_mut("bias.momentum_buffer").unwrap().0 = Dtype::U32, &["`bias.momentum_buffer` in U32"]),
        (
            |it| it.get_mut("layer/22.weight.step").unwrap().2 = 8f32.to_le_bytes().to_vec(),
            &["`layer/22.weight.step` is 8", "`layer/1.weight.step` is 7"],
        ),
        (|it| it.get_mut("bias.step").unwrap().2 = 0.5f32.to_le_bytes().to_vec(), &["`bias.step` = 0.5"]),
        (|it| it.get_mut("bias.step").unwrap().2 = f32::NAN.to_le_bytes().to_vec(), &["`bias.step` = NaN"]),
        (|it| it.get_mut("bias.step").unwrap().0 = Dtype::I32, &["`bias.step` in I32"]),
    ];
    let good = entries(&plain().to_torch().unwrap());
    for (change, told) in changes {
        let mut file = good.clone();
        change(&mut file);
        let mut found = plain();
        refused(found.import_torch(&bytes(&file)), told);
        assert_eq!(found, plain());
    }
    refused(plain().import_torch(&[0; 20]), &["the file of optimizer state is no safetensors file"]);
    let mut lost = plain();
    lost.tensors[0].group = "tail".to_owned();
    refused(lost.to_torch(), &["`layer/1.weight` in the group `tail`"]);
}
