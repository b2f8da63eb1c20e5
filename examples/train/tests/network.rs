use crate::twin;
use lookahead_test_support::{gpu, gpus};
use lookahead_wgpu::gpu::Gpu;
use lookahead_wgpu::{Half, wgpu};
use std::sync::OnceLock;
use train::batches::{Batches, Images};
use train::data::{CLASSES, Dataset, Split};
use train::device::ModelError;
use train::kernels::{self, Kernels};
use train::meter::{Meter, Tally};
use train::model::{Backward, Forward, Network, random_streams};

const HIDDEN: [usize; 2] = [70, 33];

fn f64s(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Inputs, the units of each hidden layer, and classes.
fn sizes(network: &Network) -> Vec<usize> {
    let parameters = network.parameters();
    let biases = parameters.iter().skip(1).step_by(2).map(|bias| bias.shape[0]);
    std::iter::once(parameters[0].shape[0]).chain(biases).collect()
}

/// The pass of the twin over some images of a split.
fn twin_pass(network: &Network, values: &[Vec<f32>], split: &Split, scale: f32, order: &[u32]) -> twin::Twin {
    let sizes = sizes(network);
    let pixels = sizes[0];
    let inputs: Vec<f64> = order
        .iter()
        .flat_map(|&i| &split.pixels[i as usize * pixels..][..pixels])
        .map(|&byte| f64::from(f32::from(byte) * scale))
        .collect();
    let labels: Vec<u8> = order.iter().map(|&i| split.labels[i as usize]).collect();
    let parameters: Vec<_> = values.iter().map(|tensor| f64s(tensor)).collect();
    twin::pass(&sizes, &parameters, &inputs, &labels)
}

fn filled(gpu: &Gpu, values: &[f32]) -> wgpu::Buffer {
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4 * values.len() as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(values));
    buffer
}

fn download(gpu: &Gpu, buffer: &wgpu::Buffer) -> Vec<f32> {
    let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    gpu.queue.submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, Result::unwrap);
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).unwrap())
}

/// What the GPU makes of every batch: its tally, and the gradients.
fn gpu_passes(
    (gpu, kernels): (&Gpu, &Kernels),
    network: &Network,
    values: &[Vec<f32>],
    split: &Split,
    scale: f32,
    order: &[u32],
    rows: u32,
) -> Vec<(Tally, Vec<Vec<f32>>)> {
    let (device, queue) = (&gpu.device, &gpu.queue);
    let weights: Vec<_> = values.iter().map(|tensor| filled(gpu, tensor)).collect();
    // Values that must be overwritten.
    let gradients: Vec<_> = values.iter().map(|tensor| filled(gpu, &vec![7.0; tensor.len()])).collect();
    let weights: Vec<_> = weights.iter().map(wgpu::Buffer::as_entire_binding).collect();
    let targets: Vec<_> = gradients.iter().map(wgpu::Buffer::as_entire_binding).collect();
    pollster::block_on(async {
        let images = Images::upload(device, queue, split, scale).await.unwrap();
        let batches = Batches::new(device, &images, rows).await.unwrap();
        batches.fill(queue, order);
        let meter = Meter::new(device, batches.count()).await.unwrap();
        let forward =
            Forward::new(device, queue, kernels, network, &images, &batches, &meter, &weights, None);
        let forward = forward.await.unwrap();
        let backward = Backward::new(device, queue, kernels, &forward, &weights, &targets);
        let backward = backward.await.unwrap();
        let mut results = Vec::new();
        for batch in 0..batches.count() {
            let mut encoder = device.create_command_encoder(&Default::default());
            if batch == 0 {
                meter.clear(&mut encoder);
            }
            let mut pass = encoder.begin_compute_pass(&Default::default());
            forward.record(kernels, &mut pass, batch);
            backward.record(kernels, &mut pass);
            drop(pass);
            let reading = meter.read(device, &mut encoder, batch..batch + 1).await.unwrap();
            queue.submit([encoder.finish()]);
            device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            let tally = reading.finish().await.unwrap()[0];
            results.push((tally, gradients.iter().map(|buffer| download(gpu, buffer)).collect()));
        }
        results
    })
}

fn assert_close(gpu: &[f32], exact: &[f64], tolerance: f64, what: &str) {
    let largest = exact.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (i, (&found, &expected)) in gpu.iter().zip(exact).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= tolerance * largest,
            "{what}, element {i}: {found}, not {expected}; the largest is {largest}"
        );
    }
    assert_eq!(gpu.len(), exact.len(), "{what}");
}

/// Every adapter, with the shaders compiled.
fn adapters() -> impl Iterator<Item = (&'static Gpu, &'static Kernels)> {
    static KERNELS: OnceLock<Vec<Kernels>> = OnceLock::new();
    let compile = |gpu: &Gpu| pollster::block_on(Kernels::new(&gpu.device, None)).unwrap();
    gpus().iter().zip(KERNELS.get_or_init(|| gpus().iter().map(compile).collect()))
}

/// Odd sizes everywhere: 9 x 7 pixels, hidden layers that no tile divides, a short last batch.
#[test]
fn gradients_agree_with_the_twin() {
    let _turn = crate::turn();
    let [mut random, _] = random_streams(3);
    let count = 90;
    let split = Split {
        pixels: (0..count * 63).map(|i| (i * 7919 % 251) as u8).collect(),
        labels: (0..count).map(|i| (i * 7 % 10) as u8).collect(),
    };
    let network = Network::new(63, &HIDDEN, CLASSES).unwrap();
    let mut values = network.initial_values(&mut random);
    for bias in values.iter_mut().skip(1).step_by(2) {
        bias.iter_mut().zip(0..).for_each(|(bias, i)| *bias = 0.01 * (i % 7 - 3) as f32);
    }
    let order: Vec<u32> = (0..count as u32).rev().collect();
    let scale = 1.0 / 251.0;
    for adapter in adapters() {
        let results = gpu_passes(adapter, &network, &values, &split, scale, &order, 67);
        assert_eq!(results.len(), 2);
        for ((tally, gradients), batch) in results.iter().zip(order.chunks(67)) {
            let what = format!("{}, {} images", adapter.0.label(), batch.len());
            let exact = twin_pass(&network, &values, &split, scale, batch);
            let loss = f64::from(tally.loss) / batch.len() as f64;
            assert!((loss - exact.loss).abs() < 1e-5 * exact.loss, "{what}: {loss}, not {}", exact.loss);
            assert_eq!(tally.correct, exact.correct, "{what}");
            for ((gradient, exact), parameter) in
                gradients.iter().zip(&exact.gradients).zip(network.parameters())
            {
                assert_close(gradient, exact, 1e-5, &format!("{what}, {}", parameter.name));
            }
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let _turn = crate::turn();
    let digits = Dataset::digits().unwrap();
    let network = Network::new(64, &[20], CLASSES).unwrap();
    let [mut random, _] = random_streams(4);
    let values = network.initial_values(&mut random);
    let split =
        Split { pixels: digits.train.pixels[..32 * 64].to_vec(), labels: digits.train.labels[..32].to_vec() };
    let order: Vec<u32> = (0..32).collect();
    let loss = |tensor: usize, element: usize, change: f64| {
        let mut parameters: Vec<_> = values.iter().map(|tensor| f64s(tensor)).collect();
        parameters[tensor][element] += change;
        let inputs: Vec<f64> = split.pixels.iter().map(|&byte| f64::from(byte) / 16.0).collect();
        twin::pass(&sizes(&network), &parameters, &inputs, &split.labels).loss
    };
    let exact = twin_pass(&network, &values, &split, digits.scale, &order);
    let on_gpu: Vec<_> = adapters()
        .map(|adapter| gpu_passes(adapter, &network, &values, &split, digits.scale, &order, 32).remove(0).1)
        .collect();
    for (tensor, gradient) in exact.gradients.iter().enumerate() {
        let largest = gradient.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        for element in (0..gradient.len()).step_by(gradient.len().div_ceil(40)) {
            // Small enough that no ReLU switches on or off, large enough for f64.
            let change = 1e-6;
            let slope = (loss(tensor, element, change) - loss(tensor, element, -change)) / (2.0 * change);
            assert!((slope - gradient[element]).abs() < 1e-6 * largest.max(1e-3), "{tensor} {element}");
            for gradients in &on_gpu {
                let difference = (f64::from(gradients[tensor][element]) - slope).abs();
                assert!(difference < 1e-5 * largest, "{tensor} {element}: {difference}");
            }
        }
    }
}

/// Logits far apart: a softmax that is not shifted overflows.
#[test]
fn the_loss_stays_finite_for_large_logits() {
    let _turn = crate::turn();
    let network = Network::new(4, &[], CLASSES).unwrap();
    let mut values = vec![vec![0.0; 40], (0..10).map(|i| 200.0 * i as f32).collect::<Vec<_>>()];
    values[0][3] = 1.0;
    let split = Split { pixels: vec![1; 12], labels: vec![9, 0, 4] };
    let exact = twin_pass(&network, &values, &split, 1.0, &[0, 1, 2]);
    for adapter in adapters() {
        let (tally, gradients) = gpu_passes(adapter, &network, &values, &split, 1.0, &[0, 1, 2], 3).remove(0);
        assert_eq!(tally, Tally { loss: 1800.0 + 1000.0, correct: 1 }, "{}", adapter.0.label());
        assert_close(&gradients[1], &exact.gradients[1], 1e-6, &adapter.0.label());
    }
}

#[test]
fn tallies_of_all_batches_add_up_to_the_whole_set() {
    let _turn = crate::turn();
    let digits = Dataset::digits().unwrap();
    let network = Network::new(64, &[16], CLASSES).unwrap();
    let values = network.initial_values(&mut random_streams(5)[0]);
    let order: Vec<u32> = (0..digits.test.len() as u32).collect();
    let exact = twin_pass(&network, &values, &digits.test, digits.scale, &order);
    for adapter in adapters() {
        for rows in [100, 360, 1000] {
            let results = gpu_passes(adapter, &network, &values, &digits.test, digits.scale, &order, rows);
            assert_eq!(results.len(), if rows == 100 { 4 } else { 1 });
            let loss: f64 = results.iter().map(|(tally, _)| f64::from(tally.loss)).sum();
            let correct: u32 = results.iter().map(|(tally, _)| tally.correct).sum();
            assert!((loss / 360.0 - exact.loss).abs() < 1e-5, "{loss}");
            assert_eq!(correct, exact.correct);
        }
    }
}

/// The passes read half-width weights as they are, and round the gradient of the scaled loss; what is too
/// large becomes infinite.
#[test]
fn half_width_gradients_agree_with_the_twin() {
    let _turn = crate::turn();
    let digits = Dataset::digits().unwrap();
    let split =
        Split { pixels: digits.train.pixels[..30 * 64].to_vec(), labels: digits.train.labels[..30].to_vec() };
    // 33 units: pairs of values go across rows, and the bias has an odd one.
    let network = Network::new(64, &[33], CLASSES).unwrap();
    let values = network.initial_values(&mut random_streams(6)[0]);
    let order: Vec<u32> = (0..30).collect();
    type Format = (Half, fn(f32) -> u16, fn(u16) -> f32, f64);
    let formats: [Format; 2] = [
        (
            Half::F16,
            |value| half::f16::from_f32(value).to_bits(),
            |bits| half::f16::from_bits(bits).to_f32(),
            1.0 / 1024.0,
        ),
        (
            Half::Bf16,
            |value| half::bf16::from_f32(value).to_bits(),
            |bits| half::bf16::from_bits(bits).to_f32(),
            1.0 / 256.0,
        ),
    ];
    for gpu in gpus() {
        for (half, encode, decode, precision) in formats {
            let packed: Vec<Vec<u16>> = values
                .iter()
                .map(|tensor| {
                    let bits = tensor.iter().map(|&value| encode(value));
                    bits.chain((tensor.len() % 2 == 1).then_some(0)).collect()
                })
                .collect();
            let rounded: Vec<Vec<f32>> = packed
                .iter()
                .zip(&values)
                .map(|(bits, values)| bits[..values.len()].iter().map(|&bits| decode(bits)).collect())
                .collect();
            let exact = twin_pass(&network, &rounded, &split, digits.scale, &order);
            let buffer = |bits: &Vec<u16>| filled(gpu, bytemuck::cast_slice(bits));
            let weights: Vec<_> = packed.iter().map(buffer).collect();
            let kernels = &pollster::block_on(Kernels::new(&gpu.device, Some(half))).unwrap();
            for scale in [1024.0f32, 1e30] {
                let gradients: Vec<_> = packed.iter().map(buffer).collect();
                let scale_buffer = filled(gpu, &[scale]);
                pollster::block_on(async {
                    let (device, queue) = (&gpu.device, &gpu.queue);
                    let images = Images::upload(device, queue, &split, digits.scale).await.unwrap();
                    let batches = Batches::new(device, &images, 30).await.unwrap();
                    batches.fill(queue, &order);
                    let meter = Meter::new(device, 1).await.unwrap();
                    let weights: Vec<_> = weights.iter().map(wgpu::Buffer::as_entire_binding).collect();
                    let targets: Vec<_> = gradients.iter().map(wgpu::Buffer::as_entire_binding).collect();
                    let scale = Some(scale_buffer.as_entire_binding());
                    let forward = Forward::new(
                        device, queue, kernels, &network, &images, &batches, &meter, &weights, scale,
                    );
                    let forward = forward.await.unwrap();
                    let backward = Backward::new(device, queue, kernels, &forward, &weights, &targets);
                    let backward = backward.await.unwrap();
                    let mut encoder = device.create_command_encoder(&Default::default());
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    forward.record(kernels, &mut pass, 0);
                    backward.record(kernels, &mut pass);
                    drop(pass);
                    queue.submit([encoder.finish()]);
                });
                let what = format!("{}, {half:?}, scale {scale}", gpu.label());
                for (gradient, exact) in gradients.iter().zip(&exact.gradients) {
                    let words = download(gpu, gradient);
                    let bits: &[u16] = bytemuck::cast_slice(&words);
                    let found: Vec<f32> = bits[..exact.len()].iter().map(|&bits| decode(bits)).collect();
                    if scale == 1024.0 {
                        let unscaled: Vec<f32> = found.iter().map(|value| value / scale).collect();
                        assert_close(&unscaled, exact, precision, &what);
                    } else if half == Half::F16 {
                        let is_right = |(found, exact): (&f32, &f64)| {
                            found.is_infinite() || (*exact == 0.0 && *found == 0.0)
                        };
                        assert!(found.iter().zip(exact).all(is_right), "{what}");
                    } else {
                        assert!(found.iter().all(|value| value.is_finite()), "{what}");
                    }
                }
            }
        }
    }
}

/// What wgpu makes of the shaders where these tests do not run: on Direct3D 12 and Metal.
#[test]
fn the_shaders_are_hlsl_and_msl() {
    use naga::{ShaderStage, back, valid};
    let entry_point = Some((ShaderStage::Compute, "main".to_owned()));
    let widths = [None, Some(Half::F16), Some(Half::Bf16)];
    for wgsl in widths.into_iter().flat_map(|half| kernels::wgsl(half, 32)) {
        let module = naga::front::wgsl::parse_str(&wgsl).unwrap();
        let mut validator =
            // wgpu has it everywhere but on WebGL.
            valid::Validator::new(valid::ValidationFlags::all(), valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32);
        let info = validator.validate(&module).unwrap();
        let mut text = String::new();
        let (options, pipeline) =
            (Default::default(), back::hlsl::PipelineOptions { entry_point: entry_point.clone() });
        let written = back::hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None);
        assert!(matches!(written.unwrap().entry_point_names.as_slice(), [Ok(_)]));
        let pipeline = back::msl::PipelineOptions { entry_point: entry_point.clone(), ..Default::default() };
        let (_, written) = back::msl::write_string(&module, &info, &Default::default(), &pipeline).unwrap();
        assert!(matches!(written.entry_point_names.as_slice(), [Ok(_)]));
    }
}

#[test]
fn impossible_layers_and_data_too_large_for_the_device_are_errors() {
    assert!(matches!(Network::new(64, &[128, 0], 10), Err(ModelError::Units { units: 0 })));
    assert!(matches!(Network::new(64, &[1 << 21], 10), Err(ModelError::Units { .. })));
    let gpu = gpu();
    let limits = wgpu::Limits {
        max_buffer_size: 1 << 16,
        max_storage_buffer_binding_size: 1 << 16,
        ..wgpu::Limits::defaults()
    };
    let gpu = pollster::block_on(Gpu::with_limits(&gpu.adapter, limits)).unwrap();
    let digits = Dataset::digits().unwrap();
    let upload = Images::upload(&gpu.device, &gpu.queue, &digits.train, digits.scale);
    let message = pollster::block_on(upload).err().unwrap().to_string();
    assert!(message.contains("91968") && message.contains("65536"), "{message}");
}

#[test]
fn a_seed_gives_the_same_values_and_the_order_does_not_depend_on_their_number() {
    use rand::seq::SliceRandom;
    let small = Network::new(64, &[8], CLASSES).unwrap();
    let large = Network::new(64, &[80], CLASSES).unwrap();
    let start = |network: &Network, seed| {
        let [mut values, mut order] = random_streams(seed);
        let mut images: Vec<u32> = (0..100).collect();
        let values = network.initial_values(&mut values);
        images.shuffle(&mut order);
        (values, images)
    };
    assert_eq!(start(&small, 1), start(&small, 1));
    assert_eq!(start(&small, 1).1, start(&large, 1).1);
    assert_ne!(start(&small, 1).0, start(&small, 2).0);
    assert_ne!(start(&small, 1).1, start(&small, 2).1);
    let (values, _) = start(&large, 1);
    let variance = values[0].iter().map(|w| w * w).sum::<f32>() / values[0].len() as f32;
    assert!((variance * 32.0 - 1.0).abs() < 0.05, "2 / 64 is the variance to reach: {variance}");
    assert!(values[1].iter().all(|&bias| bias == 0.0));
}
