//! Tests of the parts of the `train` example: its data, its network, its report and its plot.

#[path = "../examples/train/arguments.rs"]
mod arguments;
#[path = "../examples/train/batches.rs"]
mod batches;
#[path = "../examples/train/canvas.rs"]
mod canvas;
#[path = "../examples/train/checkpoint.rs"]
mod checkpoint;
mod common;
#[path = "../examples/train/data.rs"]
mod data;
#[path = "../examples/train/device.rs"]
mod device;
#[path = "../examples/train/folder.rs"]
mod folder;
#[path = "../examples/train/history.rs"]
mod history;
#[path = "../examples/train/kernels.rs"]
mod kernels;
#[path = "../examples/train/meter.rs"]
mod meter;
#[path = "../examples/train/model.rs"]
mod model;
#[path = "../examples/train/options.rs"]
mod options;
#[path = "../examples/train/output.rs"]
mod output;
#[path = "../examples/train/plot.rs"]
mod plot;
#[path = "../examples/train/reading.rs"]
mod reading;
#[path = "../examples/train/report.rs"]
mod report;
#[path = "../examples/train/rule.rs"]
mod rule;
#[path = "../examples/train/run.rs"]
mod run;
#[path = "../examples/train/settings.rs"]
mod settings;
#[path = "../examples/train/train.rs"]
mod train;
#[path = "../examples/train/twin.rs"]
mod twin;

/// Held by each test that uses every adapter: wgpu gives an OpenGL context up that another thread holds for long.
fn turn() -> impl Drop {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A folder of this test's own.
fn fresh_folder(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It may not be there.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

mod data_sets {
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
    use crate::kernels::{self, Kernels};
    use crate::meter::{Meter, Tally};
    use crate::model::{Backward, Forward, Network, random_streams};
    use crate::twin;
    use lookahead_wgpu::gpu::Gpu;
    use lookahead_wgpu::{Half, wgpu};
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
        let _turn = crate::turn();
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
        let _turn = crate::turn();
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

    /// The passes read half-width weights as they are, and round the gradient of the scaled loss; what is too
    /// large becomes infinite.
    #[test]
    fn half_width_gradients_agree_with_the_twin() {
        let _turn = crate::turn();
        let digits = Dataset::digits().unwrap();
        let split = Split {
            pixels: digits.train.pixels[..30 * 64].to_vec(),
            labels: digits.train.labels[..30].to_vec(),
        };
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
        for wgsl in widths.into_iter().flat_map(kernels::wgsl) {
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
    use crate::checkpoint::Checkpoint;
    use crate::common::{gpus, on_every_adapter};
    use crate::data::Dataset;
    use crate::history::History;
    use crate::options::{
        Adaptive, AverageKind, CurvatureName, GradientName, HalfName, Options, OuterName, ScopeName,
    };
    use crate::rule::RuleName;
    use crate::settings::{PolicyName, Settings};
    use crate::train::{Checkpoints, Progress, Workbench};
    use clap::ValueEnum;
    use lookahead_wgpu::Snapshot;
    use lookahead_wgpu::gpu::Gpu;

    fn settings(rule: RuleName, lookahead: Option<(u32, f64, PolicyName)>) -> Settings {
        Settings {
            rule,
            learning_rate: rule.default_learning_rate(),
            lookahead,
            options: Options::default(),
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
        let _turn = crate::turn();
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

    fn lookahead() -> Option<(u32, f64, PolicyName)> {
        Some((5, 0.5, PolicyName::Maintain))
    }

    fn with(options: Options) -> Settings {
        Settings { options, ..settings(RuleName::Adam, lookahead()) }
    }

    fn adaptive(curvature: CurvatureName, scope: ScopeName, gradient: GradientName) -> Option<Adaptive> {
        Some(Adaptive { curvature, alpha_low: 0.2, scope, gradient })
    }

    #[test]
    fn every_rule_learns() {
        let bench = Workbench::new(gpus()[0].clone(), &Dataset::digits().unwrap()).unwrap();
        for &rule in RuleName::value_variants() {
            let how = Settings { hidden: vec![16], epochs: 2, batch: 32, ..settings(rule, None) };
            let history = bench.train(&how, &mut |_| ()).unwrap();
            let (first, last) = (history.losses[0], history.epochs[1].test_loss);
            assert!(last < 0.95 * first, "{rule}: from {first} to {last}");
            assert_eq!(history.name, rule.to_string());
        }
    }

    #[test]
    fn adaptive_alphas_are_reported_by_scope() {
        use {CurvatureName as C, GradientName as G, ScopeName as S};
        let gpu = &gpus()[0];
        for (curvature, scope, gradient, count) in [
            (C::Corrected, S::Model, G::Synchronised, 1),
            (C::Raw, S::Tensor, G::LastStep, 4),
            (C::Root, S::Group, G::Synchronised, 2),
            (C::Fisher, S::Model, G::LastStep, 1),
        ] {
            let how = Options { adaptive: adaptive(curvature, scope, gradient), ..Options::default() };
            let history = train(gpu, &Settings { epochs: 2, ..with(how) });
            assert!(history.alphas.len() >= 3, "{:?}", history.alphas);
            for alphas in &history.alphas {
                assert_eq!(alphas.values.len(), count);
                assert!(
                    alphas.values.iter().all(|alpha| (0.2..=1.0).contains(&(*alpha as f32))),
                    "{alphas:?}"
                );
            }
            let last = &history.alphas[history.alphas.len() - 1];
            assert_eq!((last.step, history.alphas_of(&history.epochs[1])), (46, Some(&last.values[..])));
        }
    }

    #[test]
    fn outer_steps_and_centralised_gradients_change_the_run() {
        let gpu = &gpus()[0];
        let plain = train(gpu, &with(Options::default()));
        for outer in [OuterName::HeavyBall, OuterName::Nesterov, OuterName::SlowMo] {
            let history = train(gpu, &with(Options { outer: Some((outer, 0.5)), ..Options::default() }));
            assert_eq!(history.losses[..5], plain.losses[..5]);
            assert!(history.epochs[2].train_loss < plain.epochs[2].train_loss, "{outer:?}");
            assert!(history.memory.outer > 0);
        }
        let centralised = train(gpu, &with(Options { centralise: true, ..Options::default() }));
        assert_eq!(centralised.losses[0], plain.losses[0]);
        assert_ne!(centralised.losses[5..], plain.losses[5..]);
    }

    #[test]
    fn averages_are_tested_and_leave_training_alone() {
        let gpu = &gpus()[0];
        let plain = train(gpu, &with(Options::default()));
        assert!(plain.samples.iter().all(|sample| sample.average.is_none()));
        for kind in [AverageKind::Ema(0.9), AverageKind::Polyak(40), AverageKind::Swa(5, 44)] {
            let history = train(gpu, &with(Options { average: Some(kind), ..Options::default() }));
            assert_eq!(history.losses, plain.losses);
            let accuracy = history.epochs[2].average_accuracy.unwrap();
            assert!(accuracy > 0.6, "{kind:?}: {accuracy}");
            assert!(history.samples.iter().all(|sample| sample.average.is_some()));
        }
        // Of the last weights alone.
        let copy = train(gpu, &with(Options { average: Some(AverageKind::Ema(0.0)), ..Options::default() }));
        assert!(copy.samples.iter().all(|sample| sample.average == Some(sample.fast)));
    }

    #[test]
    fn half_width_follows_full_width() {
        let gpu = &gpus()[0];
        let plain = train(gpu, &with(Options::default()));
        for (half, loss_scale) in [(HalfName::F16, Some(1024.0)), (HalfName::Bf16, None)] {
            let how = with(Options { half: Some(half), loss_scale, ..Options::default() });
            let history = train(gpu, &how);
            assert_ne!(history.losses, plain.losses);
            for (found, expected) in history.losses.iter().zip(&plain.losses) {
                assert!((found - expected).abs() < 0.05 * expected, "{half:?}: {found}, not {expected}");
            }
            assert_eq!(history.memory.gradients * 2, plain.memory.gradients);
            let skipped = history.guard.map(|guard| (guard.skipped, guard.loss_scale));
            assert_eq!(skipped, loss_scale.map(|_| (0, 1024.0)));
        }
    }

    #[test]
    fn steps_that_overflow_are_skipped_and_counted() {
        let gpu = &gpus()[0];
        let how = with(Options { half: Some(HalfName::F16), loss_scale: Some(1e9), ..Options::default() });
        let history = train(gpu, &how);
        let guard = history.guard.unwrap();
        assert!((5..40).contains(&guard.skipped), "{guard:?}");
        assert_eq!(guard.loss_scale, 1e9 / 2f32.powi(guard.skipped as i32));
        assert!(history.losses[68] < 0.8 * history.losses[0]);
        let guarded = train(gpu, &with(Options { guard: true, ..Options::default() }));
        let plain = train(gpu, &with(Options::default()));
        assert_eq!(guarded.guard.map(|guard| (guard.skipped, guard.loss_scale)), Some((0, 1.0)));
        for (a, b) in guarded.losses.iter().zip(&plain.losses) {
            assert!((a - b).abs() < 1e-3 * b, "{a} {b}");
        }
    }

    /// Two batches of 32 images are one of 64, but for rounding.
    #[test]
    fn micro_batches_add_up_to_a_batch() {
        let gpu = &gpus()[0];
        let whole = train(gpu, &with(Options::default()));
        let how = Settings { batch: 32, ..with(Options { accumulate: Some(2), ..Options::default() }) };
        let parts = train(gpu, &how);
        assert_eq!(parts.losses.len(), 3 * 45);
        for (pair, expected) in parts.losses[..44].chunks(2).zip(&whole.losses) {
            let mean = (pair[0] + pair[1]) / 2.0;
            assert!((mean - expected).abs() < 1e-3 * expected, "{mean}, not {expected}");
        }
    }

    /// From whatever checkpoint: in the middle of an epoch, of a cycle, of a step.
    #[test]
    fn a_resumed_run_stays_on_its_curve_to_the_bit() {
        let bench = Workbench::new(gpus()[0].clone(), &Dataset::digits().unwrap()).unwrap();
        let all = Options {
            adaptive: adaptive(CurvatureName::Fisher, ScopeName::Tensor, GradientName::Synchronised),
            outer: Some((OuterName::Nesterov, 0.5)),
            average: Some(AverageKind::Polyak(3)),
            half: None,
            guard: true,
            loss_scale: None,
            accumulate: Some(3),
            centralise: true,
        };
        let f16 = Options { half: Some(HalfName::F16), loss_scale: Some(1e9), ..Options::default() };
        for how in [with(Options::default()), with(f16), with(all)] {
            let mut kept: Vec<(Snapshot, History)> = Vec::new();
            let mut keep = |snapshot: &Snapshot, history: &History| {
                kept.push((snapshot.clone(), history.clone()));
                Ok(())
            };
            let checkpoints = Checkpoints { start: None, every: 10, keep: &mut keep };
            let whole = bench.train_with(&how, checkpoints, &mut |_| ()).unwrap();
            assert_eq!(kept.len(), 7);
            assert_eq!(whole.losses, bench.train(&how, &mut |_| ()).unwrap().losses);
            // A history may be longer than its snapshot.
            let longer = (kept[1].0.clone(), kept[3].1.clone());
            for start in [kept[0].clone(), longer, kept[4].clone(), kept[6].clone()] {
                let (mut images, mut epochs) = (0, 0);
                let mut watch = |progress: Progress<'_>| match progress {
                    Progress::Images { count, .. } => images += count,
                    Progress::Epoch(_) => epochs += 1,
                };
                let what = format!("{:?} from {} steps on", how.options, start.0.steps);
                let checkpoints = Checkpoints { start: Some(start), every: 1000, keep: &mut |_, _| Ok(()) };
                let resumed = bench.train_with(&how, checkpoints, &mut watch).unwrap();
                assert_eq!(resumed.losses, whole.losses, "{what}");
                assert_eq!(resumed.samples, whole.samples, "{what}");
                assert_eq!(resumed.guard, whole.guard, "{what}");
                let losses = |history: &History| -> Vec<_> {
                    history.epochs.iter().map(|epoch| (epoch.train_loss, epoch.test_loss)).collect()
                };
                assert_eq!(losses(&resumed), losses(&whole), "{what}");
                assert_eq!((images, epochs), (3 * 1437, 3), "{what}");
            }
        }
    }

    /// Set for a process that trains until it is killed: where it keeps its checkpoint.
    const VICTIM: &str = "LOOKAHEAD_TRAIN_VICTIM";

    fn victims_settings() -> Settings {
        Settings { epochs: 40, ..with(Options::default()) }
    }

    /// Trains with a checkpoint at every tenth step; alone it does nothing, since nothing kills it.
    #[test]
    fn a_run_to_be_killed() {
        let Some(path) = std::env::var_os(VICTIM) else { return };
        let how = victims_settings();
        let checkpoint = Checkpoint::new(std::path::Path::new(&path), "digits", &how).unwrap();
        let bench = Workbench::new(gpus()[0].clone(), &Dataset::digits().unwrap()).unwrap();
        let mut keep = |snapshot: &Snapshot, history: &History| checkpoint.keep(snapshot, history);
        let start = checkpoint.start(true).unwrap();
        let checkpoints = Checkpoints { start, every: 10, keep: &mut keep };
        bench.train_with(&how, checkpoints, &mut |_| ()).unwrap();
    }

    /// Killed (SIGKILL) at moments that nobody chose, resumed each time, and on the same curve.
    #[test]
    fn a_run_that_is_killed_loses_at_most_the_steps_since_its_last_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.safetensors");
        let steps = || Snapshot::load(&path).map_or(0, |snapshot| snapshot.steps);
        let mut at_last = 0;
        for round in 0..4 {
            let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["a_run_to_be_killed", "--nocapture"])
                .env(VICTIM, &path)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            // Until it is past its last checkpoint, and then some time that differs.
            let patience = std::time::Instant::now();
            while steps() < at_last + 10 {
                assert!(patience.elapsed().as_secs() < 120, "no checkpoint after {at_last} steps");
                assert!(victim.try_wait().unwrap().is_none(), "it ended by itself after {at_last} steps");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            std::thread::sleep(std::time::Duration::from_millis(7 * round));
            victim.kill().unwrap();
            victim.wait().unwrap();
            // Whatever it was at, the file is whole.
            let kept = Snapshot::load(&path).unwrap();
            assert!(kept.steps >= at_last + 10 && kept.steps.is_multiple_of(10), "{}", kept.steps);
            at_last = kept.steps;
        }
        let how = victims_settings();
        let checkpoint = Checkpoint::new(&path, "digits", &how).unwrap();
        let bench = Workbench::new(gpus()[0].clone(), &Dataset::digits().unwrap()).unwrap();
        let start = checkpoint.start(true).unwrap();
        let checkpoints = Checkpoints { start, every: 10_000, keep: &mut |_, _| Ok(()) };
        let resumed = bench.train_with(&how, checkpoints, &mut |_| ()).unwrap();
        let whole = bench.train(&how, &mut |_| ()).unwrap();
        assert_eq!(resumed.losses, whole.losses);
        assert_eq!(resumed.samples, whole.samples);
    }

    #[test]
    fn a_checkpoint_of_another_network_or_rule_is_refused() {
        let bench = Workbench::new(gpus()[0].clone(), &Dataset::digits().unwrap()).unwrap();
        let how = Settings { epochs: 1, ..with(Options::default()) };
        let mut last = None;
        let mut keep = |snapshot: &Snapshot, history: &History| {
            last = Some((snapshot.clone(), history.clone()));
            Ok(())
        };
        let checkpoints = Checkpoints { start: None, every: 100, keep: &mut keep };
        bench.train_with(&how, checkpoints, &mut |_| ()).unwrap();
        let refused = |how: &Settings| {
            let checkpoints = Checkpoints { start: last.clone(), every: 100, keep: &mut |_, _| Ok(()) };
            bench.train_with(how, checkpoints, &mut |_| ()).unwrap_err().to_string()
        };
        let message = refused(&Settings { hidden: vec![33], ..how.clone() });
        assert!(message.contains("fc1.weight"), "{message}");
        let message = refused(&Settings { rule: RuleName::Sgd, ..how.clone() });
        assert!(message.contains("adam") && message.contains("sgd"), "{message}");
    }

    #[test]
    fn impossible_options_are_errors() {
        let bench = Workbench::new(gpus()[0].clone(), &Dataset::digits().unwrap()).unwrap();
        let refused = |how: Settings, expected: &str| {
            let message = bench.train(&how, &mut |_| ()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        let none = Options::default;
        let outer = |outer| with(Options { outer: Some(outer), ..none() });
        refused(outer((OuterName::Nesterov, 1.0)), "outer momentum = 1");
        refused(outer((OuterName::SlowMo, -0.1)), "slow momentum = -0.1");
        let average = |kind| with(Options { average: Some(kind), ..none() });
        refused(average(AverageKind::Ema(1.5)), "decay = 1.5");
        refused(average(AverageKind::Swa(0, 0)), "period = 0");
        refused(with(Options { loss_scale: Some(0.0), ..none() }), "loss scale = 0");
        refused(with(Options { accumulate: Some(0), ..none() }), "micro-batches = 0");
        let alpha = adaptive(CurvatureName::Raw, ScopeName::Model, GradientName::LastStep);
        let low = alpha.map(|alpha| Adaptive { alpha_low: 0.0, ..alpha });
        refused(with(Options { adaptive: low, ..none() }), "alpha_low = 0");
        let options = Options { adaptive: alpha, ..none() };
        refused(
            Settings { options: options.clone(), ..settings(RuleName::Sgd, lookahead()) },
            "no second moment",
        );
        refused(Settings { options, ..settings(RuleName::Adam, None) }, "without `lookahead`");
    }
}

mod command_line {
    use crate::arguments::Arguments;
    use crate::checkpoint::{Checkpoint, CheckpointError};
    use crate::fresh_folder;
    use crate::history::History;
    use crate::options::{AverageKind, CurvatureName, OuterName};
    use crate::settings::Settings;
    use clap::{CommandFactory, Parser};
    use lookahead_wgpu::{Memory, Snapshot};

    fn parse(words: &str) -> Result<Vec<Settings>, String> {
        let words = ["train"].into_iter().chain(words.split_whitespace());
        let arguments = Arguments::try_parse_from(words).map_err(|problem| problem.to_string())?;
        arguments.settings(true).map_err(|problem| problem.to_string())
    }

    fn one(words: &str) -> Settings {
        parse(words).unwrap().remove(0)
    }

    #[test]
    fn help_fits_a_terminal_and_its_examples_parse() {
        let help = Arguments::command().render_long_help().to_string();
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        let command = "cargo run --release --example train";
        let examples = help.lines().filter_map(|line| line.trim().strip_prefix(command));
        let examples: Vec<_> = examples.map(|words| words.trim_start_matches(" -- ")).collect();
        assert!(examples.len() >= 8);
        for words in examples {
            parse(words).unwrap();
        }
    }

    #[test]
    fn options_have_their_defaults() {
        let plain = one("");
        assert_eq!((plain.learning_rate, plain.epochs), (0.003, 20));
        assert_eq!(plain.options.to_string(), "");
        let adaptive = one("--adaptive").options.adaptive.unwrap();
        assert_eq!((adaptive.curvature, adaptive.alpha_low), (CurvatureName::Corrected, 0.2));
        let adaptive = one("--adaptive fisher --alpha-low 0.5").options.adaptive.unwrap();
        assert_eq!((adaptive.curvature, adaptive.alpha_low), (CurvatureName::Fisher, 0.5));
        assert_eq!(one("--outer slow-mo").options.outer, Some((OuterName::SlowMo, 0.5)));
        assert_eq!(one("--average ema").options.average, Some(AverageKind::Ema(0.99)));
        assert_eq!(one("--average swa --k 7").options.average, Some(AverageKind::Swa(7, 6)));
        assert_eq!(one("--average polyak --average-from 9").options.average, Some(AverageKind::Polyak(9)));
        assert_eq!(one("--half f16").options.loss_scale, Some(65536.0));
        assert_eq!(one("--half f16 --loss-scale off").options.loss_scale, None);
        assert_eq!(one("--half bf16").options.loss_scale, None);
        assert_eq!(one("--loss-scale 8").options.loss_scale, Some(8.0));
        assert_eq!(one("--loss-scale").options.loss_scale, Some(65536.0));
        assert_eq!(one("--rule momentum").rule.to_string(), "heavy-ball");
        let both = parse("--compare --adaptive --average ema --outer nesterov").unwrap();
        assert!(both[0].options.adaptive.is_none() && both[0].options.outer.is_none());
        assert!(both[0].options.average.is_some() && both[1].options.adaptive.is_some());
        let text = both[1].options.to_string();
        assert!(text.contains("adaptive") && text.contains("nesterov") && text.contains("ema"), "{text}");
    }

    #[test]
    fn options_that_say_nothing_together_are_errors() {
        for words in [
            "--alpha-low 0.3",
            "--alpha-scope tensor",
            "--adaptive --alpha-low 0",
            "--adaptive diagonal",
            "--outer-momentum 0.5",
            "--average-decay 0.5",
            "--average swa --average-decay 0.5",
            "--average ema --average-every 3",
            "--average ema --average-from 3",
            "--average polyak --average-every 3",
            "--loss-scale high",
            "--accumulate 0",
            "--resume",
            "--compare --checkpoint a",
            "--checkpoint a --checkpoint-every 0",
            "--rule newton",
        ] {
            let message = parse(words).unwrap_err();
            let option = words.split_whitespace().rfind(|word| word.starts_with("--")).unwrap();
            assert!(message.contains(option), "{words}: {message}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_run_or_none_is_refused() {
        let folder = fresh_folder("checkpoints");
        let path = folder.join("run.ckpt");
        let journal = folder.join("run.ckpt.json");
        let at = |words: &str| Checkpoint::new(&path, "digits", &one(words)).unwrap();
        assert!(matches!(at("").start(true), Ok(None)));
        let history = History {
            name: "lookahead(adam)".to_owned(),
            rule: "adam".to_owned(),
            lookahead: None,
            losses: vec![2.0, f64::NAN, 0.1 + 0.2],
            samples: Vec::new(),
            alphas: Vec::new(),
            epochs: Vec::new(),
            memory: Memory::default(),
            guard: None,
        };
        let snapshot = Snapshot {
            steps: 3,
            skipped: 0,
            loss_scale: 1.0,
            loss_unscale: 1.0,
            since_rescaled: 0,
            gathered: 0,
            average_start: 0,
            outer: "interpolation".to_owned(),
            loss_scaling: None,
            schedule: None,
            groups: Vec::new(),
            tensors: Vec::new(),
        };
        at("--seed 3").keep(&snapshot, &history).unwrap();
        std::fs::write(&path, "another kind of file").unwrap();
        assert!(matches!(at("--seed 3").start(false), Err(CheckpointError::Exists { .. })));
        let message = at("--seed 4").start(true).unwrap_err().to_string();
        assert!(message.contains("seed 3, and 4"), "{message}");
        let message = at("--seed 3 --rule amsgrad").start(true).unwrap_err().to_string();
        assert!(message.contains("rule \"adam\", and \"amsgrad\""), "{message}");
        // These may change; what is wrong then is the file itself.
        let more = at("--seed 3 --epochs 99 --tests 5").start(true);
        assert!(matches!(more, Err(CheckpointError::Snapshot { .. })));
        let text = std::fs::read_to_string(&journal).unwrap();
        let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
        let back: History = serde_json::from_value(kept["history"].clone()).unwrap();
        assert!(back.losses[1].is_nan() && back.losses[2].to_bits() == history.losses[2].to_bits());
        std::fs::write(&journal, "{").unwrap();
        assert!(matches!(at("--seed 3").start(true), Err(CheckpointError::History { .. })));
        std::fs::remove_file(&journal).unwrap();
        assert!(matches!(at("--seed 3").start(true), Err(CheckpointError::File { .. })));
        let nowhere = Checkpoint::new(&folder.join("none/run"), "digits", &one("")).unwrap();
        assert!(matches!(nowhere.keep(&snapshot, &history), Err(CheckpointError::File { .. })));
    }
}

mod reporting {
    use crate::history::{Alphas, Epoch, Guarded, History, Sample, Setting};
    use crate::{fresh_folder, output::Output, plot, report};
    use lookahead_wgpu::Memory;

    fn history(name: &str, lookahead: Option<Setting>) -> History {
        let is_slow = lookahead.is_some();
        let share = |step: u32| 1.0 - 0.9 * (-f64::from(step) / 40.0).exp();
        let epochs = (1..=4).map(|epoch| Epoch {
            epoch,
            train_loss: 0.5 / f64::from(epoch),
            test_loss: 0.6 / f64::from(epoch),
            fast_accuracy: share(50 * epoch),
            slow_accuracy: is_slow.then(|| share(55 * epoch)),
            average_accuracy: is_slow.then(|| share(60 * epoch)),
            seconds: f64::from(epoch) * 1.25,
        });
        let samples = (1..=20).map(|i| Sample {
            step: 10 * i,
            fast: share(10 * i),
            slow: is_slow.then(|| share(11 * i)),
            average: is_slow.then(|| share(12 * i)),
        });
        History {
            name: name.to_owned(),
            rule: "adam".to_owned(),
            lookahead,
            losses: (1..=200).map(|step| 2.3 / f64::from(step)).collect(),
            samples: samples.collect(),
            alphas: Vec::new(),
            epochs: epochs.collect(),
            memory: Memory { weights: 512, slow_weights: 256, ..Memory::default() },
            guard: is_slow.then_some(Guarded { skipped: 3, loss_scale: 1024.0 }),
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
        assert_eq!(second["epochs"][3]["average_accuracy"], lookahead.epochs[3].average_accuracy.unwrap());
        assert_eq!(second["epochs"][3]["fast_accuracy"], lookahead.epochs[3].fast_accuracy);
        assert!(first["epochs"][3]["average_accuracy"].is_null() && first["skipped_steps"].is_null());
        assert_eq!((&second["skipped_steps"], &second["loss_scale"]), (&3.into(), &1024.0.into()));
        assert_eq!(second["memory_bytes"]["slow_weights"], 256);
        assert_eq!(second["memory_bytes"]["total"], 768);
        let words = report::guarded(&lookahead.guard.unwrap());
        assert_eq!(words, "3 steps skipped; loss scale 1024");
    }

    #[test]
    fn a_plot_is_a_png_with_every_curve_in_its_colour() {
        let bytes = plot::png(&both()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.color_type), (1000, png::ColorType::Rgb));
        for colour in [[213, 94, 0], [0, 72, 132], [86, 180, 233], [0, 158, 115]] {
            let count = pixels.chunks_exact(3).filter(|&pixel| pixel == colour).count();
            assert!(count > 1000, "{colour:?}: {count} pixels");
        }
    }

    #[test]
    fn adaptive_alphas_have_a_panel_and_a_figure_of_their_own() {
        let [alone, mut lookahead] = both();
        let height = |runs: &[History]| {
            let bytes = plot::png(runs).unwrap();
            png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap().info().height
        };
        let plain = height(&[alone.clone(), lookahead.clone()]);
        lookahead.alphas = (1..=10)
            .map(|i| Alphas { step: 20 * i, values: vec![0.1 * f64::from(i), 1.0 - 0.05 * f64::from(i)] })
            .collect();
        let runs = [alone, lookahead];
        assert!(height(&runs) > plain + 300);
        let text = report::json("a GPU", "vulkan", "digits", &runs).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let epochs = &value["runs"][1]["epochs"];
        assert_eq!(epochs[3]["alphas"].as_array().unwrap().len(), 2);
        assert_eq!(epochs[3]["alphas"][0], 1.0);
        assert!(value["runs"][0]["epochs"][0]["alphas"].is_null());
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
