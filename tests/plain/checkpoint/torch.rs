//! State under PyTorch's names.

use std::collections::BTreeMap;

use super::{refused, snapshot};
use lookahead_wgpu::{Snapshot, checkpoint::without_wrappers};
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
    let report = found.import_torch(&file).unwrap();
    assert_eq!(report.imported, ["layer/1.weight", "bias", "layer/22.weight"]);
    assert_eq!((report.missing.len(), report.left_over.len()), (0, 0));
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
    assert_eq!(found.import_torch(&bytes(&file)).unwrap().left_over, ["layer/1.weight.mu_product"]);
    assert_eq!((found.groups[0].count, found.groups[1].count), (12, 1));
}

/// PyTorch has no state for parameters that are frozen or were never used.
#[test]
fn tensors_without_state_keep_theirs() {
    let mut file = entries(&plain().to_torch().unwrap());
    for slot in ["exp_avg", "exp_avg_sq", "step"] {
        file.remove(&format!("layer/22.weight.{slot}"));
    }
    file.remove("bias.momentum_buffer");
    file.remove("bias.step");
    file.insert("other.step".to_owned(), (Dtype::F32, vec![], vec![0; 4]));
    let mut found = plain();
    for tensor in &mut found.tensors {
        tensor.fields.iter_mut().skip(2).for_each(|(_, values)| values.fill(0.5));
    }
    let before = found.clone();
    (found.groups[0].count, found.groups[1].count) = (1, 2);
    let report = found.import_torch(&bytes(&file)).unwrap();
    assert_eq!(report.imported, ["layer/1.weight"]);
    assert_eq!(report.missing, ["bias", "layer/22.weight"]);
    assert_eq!(report.left_over, ["other.step"]);
    assert_eq!(found.tensors[0], plain().tensors[0]);
    assert_eq!(found.tensors[1..], before.tensors[1..]);
    // The group's count is that of its tensors with state; a group without any keeps its own.
    assert_eq!((found.groups[0].count, found.groups[1].count), (7, 2));
}

/// Around PyTorch, Lion keeps a moment and no step.
#[test]
fn lion_needs_no_step() {
    let mut lion = plain();
    lion.groups[0].rule = "lion".to_owned();
    lion.groups[0].count = 0;
    let is_lions = |field: &str| !field.ends_with("exp_avg_sq");
    lion.tensors.iter_mut().for_each(|tensor| tensor.fields.retain(|(field, _)| is_lions(field)));
    let mut file = entries(&lion.to_torch().unwrap());
    file.retain(|name, _| !name.ends_with(".step"));
    let mut found = lion.clone();
    found.tensors[0].fields[2].1.fill(9.0);
    let report = found.import_torch(&bytes(&file)).unwrap();
    assert_eq!((report.imported.len(), report.missing.len()), (3, 0));
    assert_eq!((found.tensors, found.groups[0].count), (lion.tensors, 1));
}

#[test]
fn names_of_wrapped_models_are_mapped() {
    let good = plain().to_torch().unwrap();
    let wrapped = |prefix: &str| {
        let entries = entries(&good).into_iter();
        bytes(&entries.map(|(name, entry)| (format!("{prefix}{name}"), entry)).collect())
    };
    for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "_fsdp_wrapped_module."]
    {
        let file = wrapped(prefix);
        let told = format!("`{prefix}bias.momentum_buffer`");
        refused(
            plain().import_torch(&file),
            &["has no state of any tensor", "`bias`", &told, "import_torch_with"],
        );
        let mut found = plain();
        found.groups[0].count = 1;
        let report = found.import_torch_with(&file, without_wrappers).unwrap();
        assert_eq!((report.imported.len(), report.left_over.len()), (3, 0));
        assert_eq!(found, plain());
    }
    // Names in the report are the file's own, and two for one tensor are told.
    let mut file = entries(&wrapped("module."));
    file.insert("module.head.step".to_owned(), (Dtype::F32, vec![], vec![0; 4]));
    let report = plain().import_torch_with(&bytes(&file), without_wrappers).unwrap();
    assert_eq!(report.left_over, ["module.head.step"]);
    file.insert("bias.step".to_owned(), (Dtype::F32, vec![], vec![0; 4]));
    let outcome = plain().import_torch_with(&bytes(&file), without_wrappers);
    refused(outcome, &["`bias.step`", "`module.bias.step`", "both of which are mapped to `bias.step`"]);
    // A function of one's own sees the parameter's name alone.
    let upper = |name: &str| name.to_lowercase().replace('#', "/");
    let file = entries(&good).into_iter().map(|(name, entry)| {
        let (parameter, slot) = name.rsplit_once('.').unwrap();
        (format!("{}.{slot}", parameter.to_uppercase().replace('/', "#")), entry)
    });
    assert_eq!(plain().import_torch_with(&bytes(&file.collect()), upper).unwrap().imported.len(), 3);
}

/// All that is wrong, in one error.
#[test]
fn a_state_with_holes_is_told_whole() {
    let mut file = entries(&plain().to_torch().unwrap());
    file.remove("layer/22.weight.exp_avg_sq");
    file.get_mut("bias.momentum_buffer").unwrap().1 = vec![2, 2];
    file.remove("layer/1.weight.step");
    let told = [
        "`layer/22.weight.exp_avg_sq`",
        "`bias.momentum_buffer` in the shape [2, 2]",
        "`layer/1.weight.step`",
    ];
    refused(plain().import_torch(&bytes(&file)), &told);
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
