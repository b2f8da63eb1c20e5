//! Tests of the parts of the `train` example: its data, its network, its report and its plot.

#[path = "../examples/train/batches.rs"]
mod batches;
mod common;
#[path = "../examples/train/data.rs"]
mod data;
#[path = "../examples/train/device.rs"]
mod device;
#[path = "../examples/train/folder.rs"]
mod folder;
#[path = "../examples/train/history.rs"]
mod history;
#[path = "../examples/train/meter.rs"]
mod meter;
#[path = "../examples/train/model.rs"]
mod model;
#[path = "../examples/train/output.rs"]
mod output;
#[path = "../examples/train/plot.rs"]
mod plot;
#[path = "../examples/train/report.rs"]
mod report;
#[path = "../examples/train/settings.rs"]
mod settings;
#[path = "../examples/train/train.rs"]
mod train;
#[path = "../examples/train/twin.rs"]
mod twin;

/// A folder of this test's own.
fn fresh_folder(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It may not be there.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

mod reading {
    use crate::data::{self, DataError, Dataset, Images, Source};
    use crate::{folder, fresh_folder};
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;
    use std::path::Path;

    fn idx(magic: u32, sizes: &[u32], data: &[u8]) -> Vec<u8> {
        let header = [&[magic], sizes].concat();
        header.iter().flat_map(|word| word.to_be_bytes()).chain(data.iter().copied()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn plain(bytes: &[u8]) -> Source<&[u8]> {
        Source { file: "a-file".to_owned(), reader: bytes, bytes: bytes.len() as u64, is_gzip: false }
    }

    fn packed(bytes: &[u8]) -> Source<&[u8]> {
        Source { is_gzip: true, ..plain(bytes) }
    }

    /// Four small files that belong together: 3 images to train on and 2 to test on, of 2 x 3 pixels.
    fn small_files() -> [(&'static str, Vec<u8>); 4] {
        [
            ("train-images-idx3-ubyte", idx(0x803, &[3, 2, 3], &(0..18).collect::<Vec<_>>())),
            ("train-labels-idx1-ubyte", idx(0x801, &[3], &[0, 9, 5])),
            ("t10k-images-idx3-ubyte", idx(0x803, &[2, 2, 3], &[7; 12])),
            ("t10k-labels-idx1-ubyte", idx(0x801, &[2], &[1, 2])),
        ]
    }

    fn write_files(folder: &Path, files: &[(&str, Vec<u8>)]) {
        for (name, bytes) in files {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    #[test]
    fn digits_hold_out_every_fifth_image() {
        let digits = Dataset::digits().unwrap();
        assert_eq!((digits.train.len(), digits.test.len()), (1437, 360));
        assert_eq!((digits.width, digits.height, digits.pixels()), (8, 8, 64));
        assert_eq!(digits.train.pixels.len(), 1437 * 64);
        assert_eq!(digits.scale * 16.0, 1.0);
        assert_eq!(digits.train.pixels.iter().max(), Some(&16));
        // The file begins with a 0, then a 1, and its labels count up to 9 again and again.
        assert_eq!(digits.test.labels[..3], [0, 5, 0]);
        assert_eq!(digits.train.labels[..5], [1, 2, 3, 4, 6]);
        assert_eq!(digits.test.pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        for label in 0..10 {
            assert!(digits.test.labels.iter().filter(|&&l| l == label).count() >= 25, "label {label}");
        }
    }

    #[test]
    fn reads_plain_and_packed_files_of_either_spelling() {
        let folder = fresh_folder("idx_spellings");
        let [mut a, mut b, mut c, d] = small_files();
        a.0 = "train-images.idx3-ubyte";
        b = ("train-labels-idx1-ubyte.gz", gzip(&b.1));
        c = ("t10k-images.idx3-ubyte.gz", gzip(&c.1));
        write_files(&folder, &[a, b, c, d]);
        let dataset = folder::read(&folder).unwrap();
        assert_eq!(dataset.name, "idx_spellings");
        assert_eq!((dataset.height, dataset.width), (2, 3));
        assert_eq!(dataset.train.pixels, (0..18).collect::<Vec<_>>());
        assert_eq!(dataset.train.labels, [0, 9, 5]);
        assert_eq!(dataset.test.labels, [1, 2]);
        assert_eq!(dataset.scale * 255.0, 1.0);
    }

    #[test]
    fn a_missing_folder_or_file_is_named() {
        let folder = fresh_folder("idx_missing");
        let gone = folder.join("gone");
        assert!(matches!(folder::read(&gone), Err(DataError::NoFolder { .. })));
        let file = folder.join("t10k-labels-idx1-ubyte");
        write_files(&folder, &small_files());
        assert!(matches!(folder::read(&file), Err(DataError::NoFolder { .. })));
        std::fs::remove_file(file).unwrap();
        let message = folder::read(&folder).unwrap_err().to_string();
        assert!(message.contains("idx_missing") && message.contains("`t10k-labels-idx1-ubyte`"), "{message}");
        assert!(message.contains("`t10k-labels.idx1-ubyte.gz`"), "{message}");
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let folder = fresh_folder("idx_mixed");
        write_files(&folder, &small_files());
        write_files(&folder, &[("train-labels-idx1-ubyte", idx(0x801, &[2], &[0, 9]))]);
        assert!(matches!(
            folder::read(&folder),
            Err(DataError::Counts { images: 3, labels: 2, images_file, labels_file })
                if images_file.ends_with("train-images-idx3-ubyte")
                    && labels_file.ends_with("train-labels-idx1-ubyte")
        ));
        write_files(&folder, &small_files());
        write_files(&folder, &[("t10k-images-idx3-ubyte", idx(0x803, &[2, 3, 2], &[7; 12]))]);
        assert!(matches!(folder::read(&folder), Err(DataError::Sizes { train: (2, 3), test: (3, 2), .. })));
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        let images = idx(0x803, &[1, 1, 1], &[0]);
        assert!(matches!(
            data::read_labels(plain(&images)),
            Err(DataError::Magic { found: 0x803, expected: 0x801, .. })
        ));
        let message = data::read_images(plain(&gzip(&images))).unwrap_err().to_string();
        assert!(message.contains("0x1f8b08") && message.contains(".gz"), "{message}");
        assert!(matches!(data::read_images(packed(&images)), Err(DataError::Unreadable { .. })));
    }

    #[test]
    fn labels_above_nine_and_empty_images_are_refused() {
        let labels = idx(0x801, &[3], &[9, 10, 0]);
        assert!(matches!(
            data::read_labels(plain(&labels)),
            Err(DataError::Label { index: 1, found: 10, .. })
        ));
        for sizes in [[0, 2, 2], [2, 0, 2], [2, 2, 0]] {
            let images = idx(0x803, &sizes, &[]);
            assert!(matches!(data::read_images(plain(&images)), Err(DataError::Empty { .. })));
        }
    }

    #[test]
    fn sizes_that_the_file_cannot_hold_are_refused_before_they_are_allocated() {
        for sizes in [[u32::MAX; 3], [u32::MAX, u32::MAX, 1], [1 << 16, 1 << 15, 2]] {
            let images = idx(0x803, &sizes, &[0; 50]);
            let plain_error = data::read_images(plain(&images)).unwrap_err();
            assert!(
                matches!(plain_error, DataError::TooLarge { .. } | DataError::Truncated { .. }),
                "{plain_error}"
            );
            assert!(data::read_images(packed(&gzip(&images))).is_err());
        }
        let images = idx(0x803, &[1000, 1000, 1000], &[0; 50]);
        assert!(matches!(
            data::read_images(plain(&images)),
            Err(DataError::Truncated { found, expected: 1_000_000_016, .. }) if found == "66"
        ));
        let message = data::read_images(packed(&gzip(&images))).unwrap_err().to_string();
        assert!(message.contains("cannot unpack to that"), "{message}");
    }

    #[test]
    fn a_broken_gzip_stream_is_refused() {
        let images = idx(0x803, &[10, 4, 4], &(0..160).collect::<Vec<_>>());
        let good = gzip(&images);
        let whole = data::read_images(packed(&good)).unwrap();
        assert_eq!((whole.count, whole.height, whole.width), (10, 4, 4));
        for length in 0..good.len() {
            assert!(data::read_images(packed(&good[..length])).is_err(), "cut to {length} bytes");
        }
        let mut wrong_checksum = good.clone();
        wrong_checksum[good.len() - 8] ^= 1;
        assert!(matches!(data::read_images(packed(&wrong_checksum)), Err(DataError::Unreadable { .. })));
        let more = gzip(&[&images[..], &[0]].concat());
        assert!(matches!(data::read_images(packed(&more)), Err(DataError::Trailing { expected: 176, .. })));
        let garbage = [&good[..], b"garbage"].concat();
        assert!(data::read_images(packed(&garbage)).is_err());
    }

    proptest! {
        #[test]
        fn any_images_come_back((count, height, width) in (1u32..9, 1u32..9, 1u32..9), seed: u8) {
            let pixels: Vec<u8> = (0..count * height * width).map(|i| seed.wrapping_add(i as u8)).collect();
            let file = idx(0x803, &[count, height, width], &pixels);
            let images = Images {
                count: count as usize, height: height as usize, width: width as usize, pixels,
            };
            prop_assert_eq!(&data::read_images(plain(&file)).unwrap(), &images);
            prop_assert_eq!(&data::read_images(packed(&gzip(&file))).unwrap(), &images);
        }

        #[test]
        fn a_file_cut_anywhere_or_with_more_at_its_end_is_refused(cut in 0usize..34, more in 1usize..5) {
            let file = idx(0x803, &[2, 3, 3], &[1; 18]);
            let is_truncated = matches!(
                data::read_images(plain(&file[..cut])), Err(DataError::Truncated { .. })
            );
            prop_assert!(is_truncated);
            let longer = [file, vec![0; more]].concat();
            let is_trailing = matches!(
                data::read_images(plain(&longer)), Err(DataError::Trailing { expected: 34, .. })
            );
            prop_assert!(is_trailing);
        }

        #[test]
        fn no_bytes_cause_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), known: bool) {
            if known && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&0x803u32.to_be_bytes());
            }
            let _ = data::read_images(plain(&bytes));
            let _ = data::read_images(packed(&bytes));
            let _ = data::read_images(packed(&gzip(&bytes)));
            let _ = data::read_labels(plain(&bytes));
        }
    }
}

mod network {
    use crate::batches::{Batches, Images};
    use crate::common::gpus;
    use crate::data::{CLASSES, Dataset, Split};
    use crate::device::ModelError;
    use crate::meter::{Meter, Tally};
    use crate::model::{Backward, Forward, Kernels, Network, random_streams};
    use crate::{model, twin};
    use lookahead_wgpu::gpu::Gpu;
    use lookahead_wgpu::wgpu;
    use std::sync::OnceLock;

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
    fn twin_pass(
        network: &Network,
        values: &[Vec<f32>],
        split: &Split,
        scale: f32,
        order: &[u32],
    ) -> twin::Twin {
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
            let forward = Forward::new(device, queue, kernels, network, &images, &batches, &meter, &weights);
            let forward = forward.await.unwrap();
            let backward = Backward::new(device, kernels, &forward, &weights, &targets).await.unwrap();
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
        let compile = |gpu: &Gpu| pollster::block_on(Kernels::new(&gpu.device)).unwrap();
        gpus().iter().zip(KERNELS.get_or_init(|| gpus().iter().map(compile).collect()))
    }

    /// Odd sizes everywhere: 9 x 7 pixels, hidden layers that no tile divides, a short last batch.
    #[test]
    fn gradients_agree_with_the_twin() {
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
        let digits = Dataset::digits().unwrap();
        let network = Network::new(64, &[20], CLASSES).unwrap();
        let [mut random, _] = random_streams(4);
        let values = network.initial_values(&mut random);
        let split = Split {
            pixels: digits.train.pixels[..32 * 64].to_vec(),
            labels: digits.train.labels[..32].to_vec(),
        };
        let order: Vec<u32> = (0..32).collect();
        let loss = |tensor: usize, element: usize, change: f64| {
            let mut parameters: Vec<_> = values.iter().map(|tensor| f64s(tensor)).collect();
            parameters[tensor][element] += change;
            let inputs: Vec<f64> = split.pixels.iter().map(|&byte| f64::from(byte) / 16.0).collect();
            twin::pass(&sizes(&network), &parameters, &inputs, &split.labels).loss
        };
        let exact = twin_pass(&network, &values, &split, digits.scale, &order);
        let on_gpu: Vec<_> = adapters()
            .map(|adapter| {
                gpu_passes(adapter, &network, &values, &split, digits.scale, &order, 32).remove(0).1
            })
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
        let network = Network::new(4, &[], CLASSES).unwrap();
        let mut values = vec![vec![0.0; 40], (0..10).map(|i| 200.0 * i as f32).collect::<Vec<_>>()];
        values[0][3] = 1.0;
        let split = Split { pixels: vec![1; 12], labels: vec![9, 0, 4] };
        let exact = twin_pass(&network, &values, &split, 1.0, &[0, 1, 2]);
        for adapter in adapters() {
            let (tally, gradients) =
                gpu_passes(adapter, &network, &values, &split, 1.0, &[0, 1, 2], 3).remove(0);
            assert_eq!(tally, Tally { loss: 1800.0 + 1000.0, correct: 1 }, "{}", adapter.0.label());
            assert_close(&gradients[1], &exact.gradients[1], 1e-6, &adapter.0.label());
        }
    }

    #[test]
    fn tallies_of_all_batches_add_up_to_the_whole_set() {
        let digits = Dataset::digits().unwrap();
        let network = Network::new(64, &[16], CLASSES).unwrap();
        let values = network.initial_values(&mut random_streams(5)[0]);
        let order: Vec<u32> = (0..digits.test.len() as u32).collect();
        let exact = twin_pass(&network, &values, &digits.test, digits.scale, &order);
        for adapter in adapters() {
            for rows in [100, 360, 1000] {
                let results =
                    gpu_passes(adapter, &network, &values, &digits.test, digits.scale, &order, rows);
                assert_eq!(results.len(), if rows == 100 { 4 } else { 1 });
                let loss: f64 = results.iter().map(|(tally, _)| f64::from(tally.loss)).sum();
                let correct: u32 = results.iter().map(|(tally, _)| tally.correct).sum();
                assert!((loss / 360.0 - exact.loss).abs() < 1e-5, "{loss}");
                assert_eq!(correct, exact.correct);
            }
        }
    }

    /// What wgpu makes of the shaders where these tests do not run: on Direct3D 12 and Metal.
    #[test]
    fn the_shaders_are_hlsl_and_msl() {
        use naga::{ShaderStage, back, valid};
        let entry_point = Some((ShaderStage::Compute, "main".to_owned()));
        for wgsl in model::wgsl() {
            let module = naga::front::wgsl::parse_str(&wgsl).unwrap();
            let mut validator =
                valid::Validator::new(valid::ValidationFlags::all(), valid::Capabilities::empty());
            let info = validator.validate(&module).unwrap();
            let mut text = String::new();
            let (options, pipeline) =
                (Default::default(), back::hlsl::PipelineOptions { entry_point: entry_point.clone() });
            let written = back::hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None);
            assert!(matches!(written.unwrap().entry_point_names.as_slice(), [Ok(_)]));
            let pipeline =
                back::msl::PipelineOptions { entry_point: entry_point.clone(), ..Default::default() };
            let (_, written) =
                back::msl::write_string(&module, &info, &Default::default(), &pipeline).unwrap();
            assert!(matches!(written.entry_point_names.as_slice(), [Ok(_)]));
        }
    }

    #[test]
    fn impossible_layers_and_data_too_large_for_the_device_are_errors() {
        assert!(matches!(Network::new(64, &[128, 0], 10), Err(ModelError::Units { units: 0 })));
        assert!(matches!(Network::new(64, &[1 << 21], 10), Err(ModelError::Units { .. })));
        let gpu = &gpus()[0];
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
}

mod training {
    use crate::common::{gpus, on_every_adapter};
    use crate::data::Dataset;
    use crate::history::History;
    use crate::settings::{PolicyName, RuleName, Settings};
    use crate::train::{Progress, Workbench};
    use lookahead_wgpu::gpu::Gpu;

    fn settings(rule: RuleName, lookahead: Option<(u32, f64, PolicyName)>) -> Settings {
        Settings {
            rule,
            learning_rate: rule.default_learning_rate(),
            lookahead,
            hidden: vec![32],
            epochs: 3,
            batch: 64,
            seed: 1,
            tests_each_epoch: 2,
        }
    }

    fn train(gpu: &Gpu, settings: &Settings) -> History {
        let bench = Workbench::new(gpu.clone(), &Dataset::digits().unwrap()).unwrap();
        let (mut images, mut epochs) = (0, 0);
        let history = bench.train(settings, &mut |progress| match progress {
            Progress::Images { count, loss } => {
                assert!(loss.is_finite());
                images += count;
            }
            Progress::Epoch(epoch) => {
                epochs += 1;
                assert_eq!(epoch.epoch, epochs);
            }
        });
        assert_eq!((images, epochs), (1437 * settings.epochs, settings.epochs));
        history.unwrap()
    }

    #[test]
    fn lookahead_learns_the_digits_on_every_adapter() {
        on_every_adapter(|gpu| {
            let how =
                Settings { epochs: 8, ..settings(RuleName::HeavyBall, Some((5, 0.5, PolicyName::Maintain))) };
            let history = train(gpu, &how);
            assert_eq!(history.name, "lookahead(heavy-ball)");
            assert_eq!(history.losses.len(), 8 * 23);
            assert_eq!(history.epochs.len(), 8);
            let steps: Vec<_> = history.samples.iter().map(|sample| sample.step).collect();
            assert_eq!(steps[..4], [12, 23, 35, 46]);
            let last = history.epochs.last().unwrap();
            assert!(last.accuracy() > 0.9, "{last:?}");
            assert!(last.train_loss < 0.3 && last.test_loss < 0.4, "{last:?}");
            // Fast and slow weights are the same at a sync: here, after 115 steps.
            assert_eq!(history.epochs[4].slow_accuracy, Some(history.epochs[4].fast_accuracy));
            assert!(history.samples.iter().any(|sample| sample.slow != Some(sample.fast)));
        });
    }

    /// The first sync comes after step k: until then, Lookahead and the rule alone do the same.
    #[test]
    fn a_comparison_starts_from_the_same_weights_and_sees_the_same_images() {
        let gpu = &gpus()[0];
        let alone = train(gpu, &settings(RuleName::Adam, None));
        let around = train(gpu, &settings(RuleName::Adam, Some((5, 0.5, PolicyName::Reset))));
        assert_eq!(alone.losses[..5], around.losses[..5]);
        assert_ne!(alone.losses[5], around.losses[5]);
        assert!(alone.samples.iter().all(|sample| sample.slow.is_none()));
        assert!(alone.lookahead.is_none() && around.lookahead.is_some());
        // An alpha of 1 leaves the rule as it is.
        let same = train(gpu, &settings(RuleName::Adam, Some((5, 1.0, PolicyName::Maintain))));
        for (a, b) in alone.losses.iter().zip(&same.losses) {
            assert!((a - b).abs() < 1e-3 * a, "{a} {b}");
        }
    }

    #[test]
    fn a_seed_fixes_a_run_to_the_bit() {
        let gpu = &gpus()[0];
        let how = settings(RuleName::Nesterov, Some((3, 0.8, PolicyName::Interpolate)));
        let first = train(gpu, &how);
        assert_eq!(first.losses, train(gpu, &how).losses);
        assert_ne!(first.losses, train(gpu, &Settings { seed: 2, ..how }).losses);
    }

    #[test]
    fn batches_and_tests_of_any_number_fit() {
        let gpu = &gpus()[0];
        for (batch, tests, steps) in [(1437, 1, 1), (5000, 7, 1), (100, 1000, 15)] {
            let how = settings(RuleName::Adamw, Some((5, 0.5, PolicyName::Maintain)));
            let history = train(gpu, &Settings { batch, tests_each_epoch: tests, ..how });
            assert_eq!(history.losses.len(), 3 * steps);
            assert_eq!(history.samples.len(), 3 * steps.min(tests as usize));
        }
        let deep = Settings { hidden: vec![], ..settings(RuleName::Sgd, None) };
        assert!(train(gpu, &deep).epochs[2].accuracy() > 0.7);
    }

    #[test]
    fn impossible_hyperparameters_are_errors() {
        let bench = Workbench::new(gpus()[0].clone(), &Dataset::digits().unwrap()).unwrap();
        let refused = |how: &Settings| bench.train(how, &mut |_| ()).unwrap_err().to_string();
        let zero_k = settings(RuleName::Adam, Some((0, 0.5, PolicyName::Maintain)));
        assert!(refused(&zero_k).contains("k = 0"));
        let large_alpha = settings(RuleName::Adam, Some((5, 1.5, PolicyName::Maintain)));
        assert!(refused(&large_alpha).contains("alpha = 1.5"));
    }
}

mod reporting {
    use crate::history::{Epoch, History, Sample, Setting};
    use crate::{fresh_folder, output::Output, plot, report};

    fn history(name: &str, lookahead: Option<Setting>) -> History {
        let is_slow = lookahead.is_some();
        let share = |step: u32| 1.0 - 0.9 * (-f64::from(step) / 40.0).exp();
        let epochs = (1..=4).map(|epoch| Epoch {
            epoch,
            train_loss: 0.5 / f64::from(epoch),
            test_loss: 0.6 / f64::from(epoch),
            fast_accuracy: share(50 * epoch),
            slow_accuracy: is_slow.then(|| share(55 * epoch)),
            seconds: f64::from(epoch) * 1.25,
        });
        let samples = (1..=20).map(|i| Sample {
            step: 10 * i,
            fast: share(10 * i),
            slow: is_slow.then(|| share(11 * i)),
        });
        History {
            name: name.to_owned(),
            rule: "adam".to_owned(),
            lookahead,
            losses: (1..=200).map(|step| 2.3 / f64::from(step)).collect(),
            samples: samples.collect(),
            epochs: epochs.collect(),
        }
    }

    fn both() -> [History; 2] {
        let setting = Setting { k: 5, alpha: 0.5, policy: "maintain".to_owned() };
        [history("adam", None), history("lookahead(adam)", Some(setting))]
    }

    #[test]
    fn tables_line_up_and_fit_a_terminal() {
        for run in both() {
            let widths: Vec<_> = run.epochs.iter().map(|epoch| report::row(epoch).len()).collect();
            assert!(widths.iter().all(|&width| width == report::HEAD.lines().last().unwrap().len()));
        }
        let table = report::comparison(&both());
        let widths: Vec<_> = table.lines().map(str::len).collect();
        assert_eq!(widths.len(), 3);
        assert!(widths.iter().all(|&width| width == widths[0] && width <= 80), "{table}");
        let alone = report::row(&both()[0].epochs[0]);
        assert!(alone.contains(" - "), "{alone}");
    }

    #[test]
    fn json_has_the_slow_accuracy_and_null_for_a_rule_alone() {
        let [mut alone, lookahead] = both();
        alone.epochs[1].train_loss = f64::NAN;
        let text = report::json("a GPU", "vulkan", "digits", &[alone.clone(), lookahead.clone()]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["adapter"], &value["backend"]), (&"a GPU".into(), &"vulkan".into()));
        let [first, second] = value["runs"].as_array().unwrap().as_slice() else { panic!() };
        assert!(first["k"].is_null() && first["alpha"].is_null() && first["policy"].is_null());
        assert!(first["epochs"][1]["train_loss"].is_null());
        assert_eq!(first["epochs"][0]["test_accuracy"], alone.epochs[0].fast_accuracy);
        assert_eq!((&second["name"], &second["rule"]), (&"lookahead(adam)".into(), &"adam".into()));
        assert_eq!((&second["k"], &second["alpha"]), (&5.into(), &0.5.into()));
        assert_eq!(second["policy"], "maintain");
        assert_eq!(second["epochs"][3]["epoch"], 4);
        assert_eq!(second["epochs"][3]["test_accuracy"], lookahead.epochs[3].slow_accuracy.unwrap());
        assert_eq!(second["epochs"][3]["seconds"], 5.0);
    }

    #[test]
    fn a_plot_is_a_png_with_every_curve_in_its_colour() {
        let bytes = plot::png(&both()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.color_type), (1000, png::ColorType::Rgb));
        for colour in [[213, 94, 0], [0, 72, 132], [86, 180, 233]] {
            let count = pixels.chunks_exact(3).filter(|&pixel| pixel == colour).count();
            assert!(count > 1000, "{colour:?}: {count} pixels");
        }
    }

    #[test]
    fn a_plot_of_odd_runs_is_a_picture_or_an_error() {
        let [alone, _] = both();
        assert!(plot::png(&[]).is_err());
        assert!(plot::png(&[History { losses: vec![f64::NAN; 200], ..alone.clone() }]).is_err());
        assert!(plot::png(&[History { samples: vec![], ..alone.clone() }]).is_err());
        let flat = History { losses: vec![1.0; 3], samples: alone.samples[..1].to_vec(), ..alone.clone() };
        plot::png(&[flat]).unwrap();
        let zeros = History { losses: [vec![1.0; 100], vec![0.0; 100]].concat(), ..alone };
        plot::png(&[zeros]).unwrap();
    }

    #[test]
    fn an_output_is_replaced_when_it_is_written_and_not_before() {
        let folder = fresh_folder("outputs");
        assert!(Output::open(&folder.join("none/a.json")).is_err());
        assert!(Output::open(&folder).is_err());
        let new = folder.join("new.json");
        drop(Output::open(&new).unwrap());
        assert!(!new.exists());
        Output::open(&new).unwrap().write(b"0123456789").unwrap();
        let again = Output::open(&new).unwrap();
        assert_eq!(std::fs::read(&new).unwrap(), b"0123456789");
        drop(again);
        assert_eq!(std::fs::read(&new).unwrap(), b"0123456789");
        Output::open(&new).unwrap().write(b"abc").unwrap();
        assert_eq!(std::fs::read(&new).unwrap(), b"abc");
    }
}
