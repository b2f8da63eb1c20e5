//! Half widths: the copy of the weights, half-width gradients, and slow weights in bf16, measured against f64.

use crate::common::{
    buffer, download, largest_error, noise, read_slice_async, submit, widen, write_gradient,
};
use lookahead_wgpu::{
    Field, Half, Lookahead, Optimizer, Slice, gpu::Gpu, rules::Adam, rules::AdamW, rules::Sgd, twin::Twin,
};

on_devices!(
    the_half_width_copy_follows_the_weights,
    the_f16_copy_saturates,
    half_width_gradients_are_read_exactly,
    slow_weights_in_bf16_are_rounded_at_random,
    errors_of_each_mode_against_f64,
);

const SHAPES: [(&str, &[usize]); 4] = [("a", &[5, 7]), ("b", &[300]), ("c", &[1]), ("d", &[2, 65])];

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Bytes as a buffer holds them now.
async fn read_bytes(gpu: &Gpu, slice: &Slice) -> Vec<u8> {
    bytemuck::cast_slice(&read_slice_async(gpu, slice).await).to_vec()
}

fn decode(bytes: &[u8], half: Half, len: usize) -> Vec<f32> {
    let bits = bytes.chunks_exact(2).take(len).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    bits.map(|bits| match half {
        Half::F16 => half::f16::from_bits(bits).to_f32(),
        Half::Bf16 => half::bf16::from_bits(bits).to_f32(),
    })
    .collect()
}

fn encode(values: &[f32], half: Half) -> Vec<u8> {
    let bits = values.iter().map(|value| match half {
        Half::F16 => half::f16::from_f32(*value).to_bits(),
        Half::Bf16 => half::bf16::from_f32(*value).to_bits(),
    });
    let mut bits: Vec<u16> = bits.collect();
    bits.resize(values.len().next_multiple_of(2), 0);
    bytemuck::cast_slice(&bits).to_vec()
}

/// How far a format's nearest value is, relative to the value; a device may take the second nearest for f16.
fn precision(half: Half) -> f64 {
    match half {
        Half::F16 => 2f64.powi(-10),
        Half::Bf16 => 2f64.powi(-8),
    }
}

/// The copy is written by the step itself, the sync, the upload and the exchange.
async fn the_half_width_copy_follows_the_weights(gpu: &Gpu) {
    for half in [Half::F16, Half::Bf16] {
        let builder =
            Optimizer::builder(AdamW::new(0.01)).lookahead(Lookahead::new(2, 0.5)).half_weights(half);
        let builder = SHAPES.iter().fold(builder, |builder, (name, shape)| builder.tensor(name, shape));
        let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
        let check = async |optimizer: &Optimizer, what: &str| {
            for (name, shape) in SHAPES {
                let weights = read_slice_async(gpu, &optimizer.weights(name).unwrap()).await;
                let slice = optimizer.half_weights(name).unwrap();
                assert!(slice.offset.is_multiple_of(256));
                let copy = decode(&read_bytes(gpu, &slice).await, half, len(shape));
                for (weight, copy) in weights.iter().zip(&copy) {
                    let error = f64::from((weight - copy).abs());
                    let size = f64::from(weight.abs()).max(6.2e-5);
                    assert!(error <= precision(half) * size, "{what}: {copy} for {weight} in {half:?}");
                    let nearest = half::bf16::from_f32(*weight).to_f32();
                    assert!(half == Half::F16 || *copy == nearest, "{what}: {copy}, not {nearest}");
                }
            }
        };
        for (seed, (name, shape)) in (0..).zip(SHAPES) {
            let values: Vec<f32> = noise(len(shape), seed).iter().map(|value| value * 1000.0).collect();
            optimizer.upload(name, &values).unwrap();
        }
        check(&optimizer, "after the upload").await;
        for step in 0..4 {
            for (seed, (name, shape)) in (0..).zip(SHAPES) {
                write_gradient(gpu, &optimizer, name, &noise(len(shape), 100 * (step + 1) + seed));
            }
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            check(&optimizer, "after a step").await;
        }
        submit(gpu, |encoder| optimizer.swap_slow(encoder)).unwrap();
        check(&optimizer, "after the exchange").await;
    }
}

/// Beyond what f16 can hold the copy saturates; it does not become infinite.
async fn the_f16_copy_saturates(gpu: &Gpu) {
    let builder = Optimizer::builder(Sgd::new(1.0)).half_weights(Half::F16).tensor("w", &[4]);
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    optimizer.upload("w", &[1e6, -1e6, 65504.0, 1.0]).unwrap();
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    let copy = decode(&read_bytes(gpu, &optimizer.half_weights("w").unwrap()).await, Half::F16, 4);
    assert_eq!(copy, [65504.0, -65504.0, 65504.0, 1.0]);
}

/// A half-width gradient is read exactly: only its own rounding is off. In the optimizer's buffers, in the
/// caller's, and side by side with the weights in one.
async fn half_width_gradients_are_read_exactly(gpu: &Gpu) {
    for half in [Half::F16, Half::Bf16] {
        // Where tensors may start at any value, and where at multiples of four.
        for (home, unit) in [(0, 4), (1, 4), (2, 4), (1, 16), (2, 16)] {
            let pool = buffer(gpu, 1 << 16);
            let other = if home == 2 { pool.clone() } else { buffer(gpu, 1 << 16) };
            let mut builder = Optimizer::builder(Adam::new(0.01).eps(1e-4))
                .lookahead(Lookahead::new(2, 0.5))
                .half_gradients(half);
            let mut at = unit;
            let mut gradients = Vec::new();
            for (name, shape) in SHAPES {
                let (weights, gradient) =
                    (4 * len(shape) as u64, (2 * len(shape) as u64).next_multiple_of(4));
                builder = match home {
                    0 => builder.tensor(name, shape),
                    _ => builder.borrowed(name, shape, Slice::new(&pool, at, weights)),
                };
                let after = (at + weights).next_multiple_of(unit / 2) + 8;
                gradients.push((name, Slice::new(&other, after, gradient)));
                at = (after + gradient + 12).next_multiple_of(unit);
            }
            let mut optimizer =
                builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
            let mut start = Vec::new();
            for (seed, (name, shape)) in (0..).zip(SHAPES) {
                optimizer.upload(name, &noise(len(shape), seed)).unwrap();
                start.push(widen(&noise(len(shape), seed)));
            }
            let mut twin = Twin::new(Adam::new(0.01).eps(1e-4), start).lookahead(Lookahead::new(2, 0.5));
            for step in 0..5 {
                let mut exact = Vec::new();
                for (seed, (name, shape)) in (0..).zip(SHAPES) {
                    let bytes = encode(&noise(len(shape), 100 * (step + 1) + seed), half);
                    exact.push(widen(&decode(&bytes, half, len(shape))));
                    let slice = match home {
                        0 => optimizer.gradients(name).unwrap(),
                        _ => gradients[seed as usize].1.clone(),
                    };
                    assert_eq!(slice.size, bytes.len() as u64);
                    gpu.queue.write_buffer(&slice.buffer, slice.offset, &bytes);
                }
                if home == 0 {
                    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
                } else {
                    let borrowed = optimizer.borrow_gradients(&gradients).await.unwrap();
                    submit(gpu, |encoder| optimizer.step_with(encoder, &borrowed)).unwrap();
                }
                twin.step(&exact, 0.01);
            }
            for (tensor, (name, _)) in SHAPES.iter().enumerate() {
                let found = download(&optimizer, Field::Weights, name).await;
                let error = largest_error(&found, &twin.weights[tensor]);
                assert!(error < 1e-5, "{half:?}, home {home}: `{name}` is off by {error:e}");
            }
        }
    }
}

/// Slow weights in bf16 are one of the two neighbours, right on average, the same in every run, and the fast
/// weights restart at the value before rounding.
async fn slow_weights_in_bf16_are_rounded_at_random(gpu: &Gpu) {
    let count = 20_000;
    let run = async || {
        let builder = Optimizer::builder(Sgd::new(0.0)).lookahead(Lookahead::new(1, 1.0)).slow_bf16();
        let builder = builder.tensor("w", &[count]).pipelines(&gpu.pipelines);
        let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
        // A third of the way from one bf16 to the next.
        let value = 1.0 + 2f32.powi(-7) / 3.0;
        optimizer.upload("w", &vec![value; count]).unwrap();
        let mut all = Vec::new();
        for _ in 0..3 {
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            assert_eq!(download(&optimizer, Field::Weights, "w").await, vec![value; count]);
            all.push(download(&optimizer, Field::SlowWeights, "w").await);
        }
        assert_eq!(optimizer.memory().slow_weights, 2 * (count as u64).next_multiple_of(128));
        all
    };
    let all = run().await;
    assert_eq!(all, run().await);
    assert_ne!(all[0], all[1]);
    for slow in &all {
        let up = slow.iter().filter(|value| **value == 1.0 + 2f32.powi(-7)).count();
        let down = slow.iter().filter(|value| **value == 1.0).count();
        assert_eq!(up + down, count);
        // A third of 20,000, with a standard deviation of 67.
        assert!((up as f64 - count as f64 / 3.0).abs() < 5.0 * 67.0, "{up} of {count} are rounded up");
    }
}

/// What half widths cost: the largest and the root-mean-square difference to f64 after 60 steps of Lookahead(Adam)
/// on a noisy quadratic. The documentation of `Half` and the README's table have these figures.
async fn errors_of_each_mode_against_f64(gpu: &Gpu) {
    let count = 1000;
    let modes: [(&str, Option<Half>, bool, f64); 4] = [
        ("f32", None, false, 2e-6),
        ("f16 gradients", Some(Half::F16), false, 2e-3),
        ("bf16 gradients", Some(Half::Bf16), false, 1e-2),
        ("bf16 slow weights", None, true, 2e-2),
    ];
    for (mode, gradients, slow_bf16, bound) in modes {
        let lookahead = Lookahead::new(5, 0.5);
        let rule = Adam::new(0.01).eps(1e-3);
        let mut builder = Optimizer::builder(rule.clone()).lookahead(lookahead);
        builder = gradients.into_iter().fold(builder, |builder, half| builder.half_gradients(half));
        builder = if slow_bf16 { builder.slow_bf16() } else { builder };
        let builder = builder.tensor("w", &[count]).pipelines(&gpu.pipelines);
        let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
        let start = noise(count, 1);
        optimizer.upload("w", &start).unwrap();
        let mut twin = Twin::new(rule, vec![widen(&start)]).lookahead(lookahead);
        for step in 0..60 {
            // The gradients of the f64 run, for both: what differs is the optimizer's arithmetic alone.
            let noise = noise(count, 10 + step);
            let gradient: Vec<f32> =
                twin.weights[0].iter().zip(&noise).map(|(w, n)| *w as f32 + 0.1 * n).collect();
            match gradients {
                None => write_gradient(gpu, &optimizer, "w", &gradient),
                Some(half) => {
                    let slice = optimizer.gradients("w").unwrap();
                    gpu.queue.write_buffer(&slice.buffer, slice.offset, &encode(&gradient, half));
                }
            }
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            twin.step(&[widen(&gradient)], 0.01);
        }
        let found = widen(&download(&optimizer, Field::Weights, "w").await);
        let errors: Vec<f64> = found.iter().zip(&twin.weights[0]).map(|(a, b)| (a - b).abs()).collect();
        let largest = errors.iter().fold(0.0f64, |a, b| a.max(*b));
        let rms = (errors.iter().map(|error| error * error).sum::<f64>() / count as f64).sqrt();
        println!("{mode:18} largest {largest:.1e}, root mean square {rms:.1e}");
        assert!(largest < bound, "{mode}: off by {largest:e}");
    }
}
