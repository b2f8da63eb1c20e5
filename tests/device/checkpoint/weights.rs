//! Weights alone.

use crate::common::{noise, on_every_adapter, submit, write_gradient};
use half::{bf16, f16};
use lookahead_wgpu::{Average, Field, Lookahead, Optimizer, gpu::Gpu, rules::Sgd, wgpu};
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

fn train(gpu: &Gpu, optimizer: &mut Optimizer) {
    write_gradient(gpu, optimizer, "layer.weight", &noise(6, 3));
    write_gradient(gpu, optimizer, "layer.bias", &noise(2, 4));
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

/// A file of other programs.
fn file(entries: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = entries.iter().map(|(name, dtype, shape, data)| {
        (name.to_string(), TensorView::new(*dtype, shape.to_vec(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn each_field_goes_to_a_file_and_back() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(&gpu.device, &gpu.queue);
        optimizer.upload("layer.weight", &noise(6, 1)).unwrap();
        optimizer.upload("layer.bias", &noise(2, 2)).unwrap();
        train(gpu, &mut optimizer);
        train(gpu, &mut optimizer);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        for field in [Field::Weights, Field::SlowWeights, Field::Average] {
            optimizer.save_weights_blocking(&path, field).unwrap();
            let mut other = build(&gpu.device, &gpu.queue);
            assert_eq!(other.load_weights(&path), Ok(vec![]));
            for tensor in ["layer.weight", "layer.bias"] {
                let expected = optimizer.download_blocking(field, tensor).unwrap();
                assert_eq!(other.download_blocking(Field::Weights, tensor).unwrap(), expected);
                assert_eq!(other.download_blocking(Field::SlowWeights, tensor).unwrap(), expected);
            }
        }
    });
}

#[test]
fn every_width_is_converted() {
    on_every_adapter(|gpu| {
        let values = [0.1, -2.5, 65504.0, 1e-3, 0.0, -0.0];
        let double = values.map(f64::to_le_bytes).concat();
        let single = values.map(|value| (value as f32).to_le_bytes()).concat();
        let half = values.map(|value| f16::from_f64(value).to_le_bytes()).concat();
        let brain = values.map(|value| bf16::from_f64(value).to_le_bytes()).concat();
        let bias = [1.0f32, f32::NAN].map(f32::to_le_bytes).concat();
        for (dtype, bytes, expected) in [
            (Dtype::F64, double, values.map(|value| value as f32)),
            (Dtype::F32, single, values.map(|value| value as f32)),
            (Dtype::F16, half, values.map(|value| f16::from_f64(value).to_f32())),
            (Dtype::BF16, brain, values.map(|value| bf16::from_f64(value).to_f32())),
        ] {
            let bytes = file(&[
                ("layer.weight", dtype, &[2, 3], &bytes),
                ("layer.bias", Dtype::F32, &[2], &bias),
                ("other.running_mean", Dtype::I64, &[1], &[0; 8]),
            ]);
            let mut optimizer = build(&gpu.device, &gpu.queue);
            assert_eq!(optimizer.import_weights(&bytes), Ok(vec!["other.running_mean".to_owned()]));
            let found = optimizer.download_blocking(Field::Weights, "layer.weight").unwrap();
            assert_eq!(
                found.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
                expected.map(f32::to_bits)
            );
            // Once training has begun, `init_synced` takes the slow weights along.
            train(gpu, &mut optimizer);
            optimizer.import_weights(&bytes).unwrap();
            submit(gpu, |encoder| optimizer.init_synced(encoder)).unwrap();
            assert_eq!(optimizer.download_blocking(Field::SlowWeights, "layer.weight").unwrap(), expected);
        }
    });
}
