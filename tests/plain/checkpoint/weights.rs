//! Weights alone.

use super::refused;
use lookahead_wgpu::{
    Average, Error, Field, Lookahead, Optimizer, checkpoint::without_wrappers, rules::Sgd, wgpu,
};
use safetensors::{Dtype, tensor::TensorView};

fn build(device: &wgpu::Device, queue: &wgpu::Queue) -> Optimizer {
    Optimizer::builder(Sgd::new(0.1))
        .lookahead(Lookahead::new(3, 0.5))
        .average(Average::Ema { decay: 0.9 })
        .tensor("layer.weight", &[2, 3])
        .tensor("layer.bias", &[2])
        .build_blocking(device, queue)
        .unwrap()
}

/// A file of other programs.
fn file(entries: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = entries.iter().map(|(name, dtype, shape, data)| {
        (name.to_string(), TensorView::new(*dtype, shape.to_vec(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn weights_that_do_not_fit_are_refused_with_nothing_written() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let mut optimizer = build(&device, &queue);
    let before = optimizer.export_blocking().unwrap();
    let weight = ("layer.weight", Dtype::F32, &[2usize, 3][..], &[0x3f; 24][..]);
    for (bias, told) in [
        (("layer.bia", Dtype::F32, &[2usize][..], &[0; 8][..]), &["lacks the tensor `layer.bias`"][..]),
        (("layer.bias", Dtype::F32, &[3], &[0; 12]), &["`layer.bias` in the shape [3], and it is [2] here"]),
        (("layer.bias", Dtype::F32, &[2, 1], &[0; 8]), &["[2, 1]"]),
        (
            ("layer.bias", Dtype::I32, &[2], &[0; 8]),
            &["`layer.bias` in I32, and F32, F64, F16 or BF16 is due"],
        ),
    ] {
        refused(optimizer.import_weights(&file(&[weight, bias])), told);
        assert_eq!(optimizer.export_blocking().unwrap(), before);
    }
    let mut encoder = device.create_command_encoder(&Default::default());
    optimizer.swap_slow(&mut encoder).unwrap();
    let good = file(&[weight, ("layer.bias", Dtype::F32, &[2], &[0; 8])]);
    assert!(matches!(optimizer.import_weights(&good), Err(Error::Swapped { .. })));
    let error = optimizer.load_weights("no such file").unwrap_err();
    assert!(matches!(error, Error::File { .. }) && error.to_string().contains("no such file"), "{error}");
}

#[test]
fn names_of_wrapped_models_are_mapped() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let mut optimizer = build(&device, &queue);
    let weight = |name| (name, Dtype::F32, &[2usize, 3][..], &[0x3f; 24][..]);
    let bias = |name| (name, Dtype::BF16, &[2usize][..], &[0; 4][..]);
    let other = ("module.steps", Dtype::I64, &[1usize][..], &[0; 8][..]);
    let wrapped =
        file(&[weight("module._orig_mod.layer.weight"), bias("module.layer._orig_mod.bias"), other]);
    let told = [
        "lacks the tensors `layer.weight`, `layer.bias`",
        "`module._orig_mod.layer.weight`",
        "`module.steps`",
        "`checkpoint::without_wrappers`",
    ];
    refused(optimizer.import_weights(&wrapped), &told);
    let left_over = optimizer.import_weights_with(&wrapped, without_wrappers);
    assert_eq!(left_over, Ok(vec!["module.steps".to_owned()]));
    let twice = file(&[weight("module.layer.weight"), weight("layer.weight"), bias("layer.bias")]);
    let outcome = optimizer.import_weights_with(&twice, without_wrappers);
    refused(
        outcome,
        &["`layer.weight` and `module.layer.weight`, both of which are mapped to `layer.weight`"],
    );
    // The file's own name is there, and the other left over.
    assert_eq!(optimizer.import_weights(&twice), Ok(vec!["module.layer.weight".to_owned()]));
    // From a file, with a function of one's own.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, file(&[weight("w"), bias("b")])).unwrap();
    let names = |name: &str| if name == "w" { "layer.weight" } else { "layer.bias" }.to_owned();
    assert_eq!(optimizer.load_weights_with(&path, names), Ok(vec![]));
    refused(optimizer.load_weights(&path), &["lacks the tensors `layer.weight`, `layer.bias`", "`b`, `w`"]);
    // All that is wrong is told at once.
    let wrong =
        file(&[("layer.weight", Dtype::F32, &[3, 2], &[0; 24]), ("layer.bias", Dtype::I64, &[2], &[0; 16])]);
    refused(optimizer.import_weights(&wrong), &["`layer.weight` in the shape [3, 2]", "`layer.bias` in I64"]);
}

/// An entry of somebody else's type is nobody's business.
#[test]
fn types_that_nobody_knows_are_left_alone() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let mut optimizer = build(&device, &queue);
    let header = r#"{"layer.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"scales":{"dtype":"F6_E7M7","shape":[3],"data_offsets":[24,27]},"layer.bias":{"dtype":"DTYPE","shape":[2],"data_offsets":[27,35]}}"#;
    let bytes = |dtype: &str| {
        let header = header.replace("DTYPE", dtype);
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 35]].concat()
    };
    assert_eq!(optimizer.import_weights(&bytes("F32")), Ok(vec!["scales".to_owned()]));
    refused(
        optimizer.import_weights(&bytes("F99")),
        &["has `layer.bias` in F99, and F32, F64, F16 or BF16 is due"],
    );
    refused(optimizer.import_weights(&bytes("F16")), &["`layer.bias` is F16 of the shape [2], in 8 bytes"]);
}

#[test]
fn a_name_that_the_format_needs_is_refused() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let builder = Optimizer::builder(Sgd::new(0.1)).tensor("__metadata__", &[2]);
    let optimizer = builder.build_blocking(&device, &queue).unwrap();
    refused(optimizer.export_weights_blocking(Field::Weights), &["__metadata__"]);
    // In a checkpoint it is a name like any other.
    let snapshot = optimizer.export_blocking().unwrap();
    assert_eq!(lookahead_wgpu::Snapshot::from_bytes(&snapshot.to_bytes().unwrap()), Ok(snapshot));
}
