//! The `theory` example: its generator, its simulation against the exact recursions and spectral radii, its figures
//! and its command line.
//!
//! All seeds are fixed, so that a test that passes on an adapter passes there always. Bounds are stated in standard
//! errors: 5 for the largest of up to some thousand deviations (a chance of 6e-7 each), and the mean of their squares
//! near 1.

#[path = "../examples/theory/arguments.rs"]
mod arguments;
#[path = "../examples/train/canvas.rs"]
mod canvas;
mod common;
#[path = "../examples/theory/contraction.rs"]
mod contraction;
#[path = "../examples/theory/fig3.rs"]
#[allow(dead_code)] // its runs take too long for a test
mod fig3;
#[path = "../examples/theory/fig4.rs"]
mod fig4;
#[path = "../examples/theory/moments.rs"]
mod moments;
#[path = "../examples/train/output.rs"]
mod output;
#[path = "../examples/train/paths.rs"]
#[allow(dead_code)] // it reads no files
mod paths;
#[path = "../examples/theory/plot.rs"]
mod plot;
#[path = "../examples/theory/prop1.rs"]
mod prop1;
#[path = "../examples/theory/prop2.rs"]
#[allow(dead_code)] // its runs take too long for a test
mod prop2;
#[path = "../examples/theory/report.rs"]
mod report;
#[path = "../examples/theory/simulate.rs"]
mod simulate;

/// Held by each test that uses every adapter: wgpu gives an OpenGL context up that another thread holds for long.
fn turn() -> impl Drop {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The largest deviation must be below 5 standard errors, and the mean square within `room` of 1.
#[track_caller]
fn assert_normal(what: &str, deviations: &[f64], room: f64) {
    let largest = deviations.iter().fold(0.0, |largest: f64, z| largest.max(z.abs()));
    let mean = deviations.iter().map(|z| z * z).sum::<f64>() / deviations.len() as f64;
    println!("{what}: {} deviations, largest {largest:.2}, mean square {mean:.3}", deviations.len());
    assert!(largest < 5.0, "{what}: {largest} standard errors");
    assert!((mean - 1.0).abs() < room, "{what}: the mean square of the deviations is {mean}");
}

mod generator {
    use crate::common::{on_every_adapter, read_slice, submit};
    use crate::{assert_normal, turn};
    use lookahead_wgpu::{Slice, gpu::Gpu, wgpu};

    /// Writes `body` of every counter `(i, first + i/width, 7, 3)`.
    fn generate(gpu: &Gpu, body: &str, count: u32, width: u32) -> Vec<f32> {
        let wgsl = format!(
            "{}
            @group(0) @binding(0) var<storage, read_write> out: array<vec4f>;
            @compute @workgroup_size(64)
            fn main(@builtin(global_invocation_id) id: vec3u) {{
                let counter = vec4u(id.x % {width}u, id.x / {width}u, 7u, 3u);
                out[id.x] = {body};
            }}",
            include_str!("../examples/theory/normal.wgsl")
        );
        let device = &gpu.device;
        let source = wgpu::ShaderSource::Wgsl(wgsl.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16 * u64::from(count),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
        });
        submit(gpu, |encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(count / 64, 1, 1);
        });
        read_slice(gpu, &Slice::whole(&buffer))
    }

    /// The same in Rust.
    fn pcg4d(counter: [u32; 4]) -> [u32; 4] {
        let mut v = counter.map(|x| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let mix = |v: &mut [u32; 4]| {
            let old = *v;
            // v.yzxy * v.wxyz
            for (i, (a, b)) in [(1, 3), (2, 0), (0, 1), (1, 2)].into_iter().enumerate() {
                v[i] = old[i].wrapping_add(old[a].wrapping_mul(old[b]));
            }
        };
        mix(&mut v);
        v = v.map(|x| x ^ (x >> 16));
        mix(&mut v);
        v
    }

    const WIDTH: u32 = 1 << 10;
    const COUNT: u32 = 1 << 18;

    fn counter(i: u32) -> [u32; 4] {
        [i % WIDTH, i / WIDTH, 7, 3]
    }

    #[test]
    fn every_adapter_draws_the_same_bits_and_the_normals_that_belong_to_them() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            // Halves of the words as numbers: some bit patterns are no floats that a GPU must keep.
            for (body, shift) in
                [("vec4f(pcg4d(counter) & vec4u(0xffffu))", 0), ("vec4f(pcg4d(counter) >> vec4u(16u))", 16)]
            {
                let found = generate(gpu, body, 4096, 64);
                for (i, found) in (0..).zip(found.chunks_exact(4)) {
                    let expected =
                        pcg4d([i % 64, i / 64, 7, 3]).map(|word| ((word >> shift) & 0xffff) as f32);
                    assert_eq!(found, expected, "counter {i}");
                }
            }
            let found = generate(gpu, "normals(counter)", 4096, 64);
            for (i, found) in (0..).zip(found.chunks_exact(4)) {
                let unit = pcg4d([i % 64, i / 64, 7, 3])
                    .map(|word| (f64::from(word >> 8) + 0.5) / f64::from(1 << 24));
                for (half, (radius, angle)) in
                    [(unit[0], unit[2]), (unit[1], unit[3])].into_iter().enumerate()
                {
                    let radius = (-2.0 * radius.ln()).sqrt();
                    let angle = std::f64::consts::TAU * (angle - 0.5);
                    let expected = [radius * angle.cos(), radius * angle.sin()];
                    for (found, expected) in [found[half], found[half + 2]].into_iter().zip(expected) {
                        // WGSL asks of sine and cosine no more than 2^-11.
                        assert!((f64::from(found) - expected).abs() < 3e-3, "{found}, not {expected}");
                    }
                }
            }
        });
    }

    #[test]
    fn the_normals_have_the_moments_of_normals_and_do_not_depend_on_each_other() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            let found = generate(gpu, "normals(counter)", COUNT, WIDTH);
            let found: Vec<f64> = found.into_iter().map(f64::from).collect();
            let n = found.len() as f64;
            let mean = |f: &dyn Fn(f64) -> f64| found.iter().map(|x| f(*x)).sum::<f64>() / n;
            // E[x^p] and the variance of x^p: (2p - 1)!! - E[x^p]^2.
            let powers = [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)];
            let mut deviations: Vec<f64> = powers
                .into_iter()
                .map(|(p, expected, variance): (i32, f64, f64)| {
                    (mean(&|x| x.powi(p)) - expected) / (variance / n).sqrt()
                })
                .collect();

            // Lags: lanes of a vec4, neighbours in the index, in the step, and across both.
            for lag in [1, 2, 3, 4, 8, 4 * WIDTH as usize, 4 * WIDTH as usize + 4, 8 * WIDTH as usize] {
                let pairs = || found.iter().zip(&found[lag..]);
                let count = (found.len() - lag) as f64;
                let products = pairs().map(|(x, y)| x * y).sum::<f64>();
                let squares = pairs().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)).sum::<f64>();
                let mixed = pairs().map(|(x, y)| x * (y * y - 1.0)).sum::<f64>();
                deviations.extend([
                    products / count.sqrt(),
                    squares / (4.0 * count).sqrt(),
                    mixed / (2.0 * count).sqrt(),
                ]);
            }
            assert_normal("moments and correlations", &deviations, 1.0);

            // Signs of the eight values of neighbouring steps: all 256 patterns are alike frequent.
            let stride = 4 * WIDTH as usize;
            let mut counts = [0_u32; 256];
            for pair in found.chunks_exact(2 * stride) {
                for (x, y) in pair[..stride].chunks_exact(4).zip(pair[stride..].chunks_exact(4)) {
                    let pattern = x.iter().chain(y).fold(0, |bits, x| 2 * bits + usize::from(*x > 0.0));
                    counts[pattern] += 1;
                }
            }
            let expected = f64::from(COUNT / 2) / 256.0;
            let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
            // 255 degrees of freedom: a mean of 255 and a standard deviation of 22.6.
            assert!((chi - 255.0).abs() < 5.0 * 22.6, "signs: chi square {chi}");
        });
    }

    #[test]
    fn the_bits_are_uniform() {
        let mut counts = [[0_u32; 256]; 8];
        for i in 0..COUNT {
            let words = pcg4d(counter(i));
            for (lane, word) in words.into_iter().enumerate() {
                counts[lane][(word >> 24) as usize] += 1;
                // The lowest of the 24 bits that are used.
                counts[4 + lane][(word >> 8 & 0xff) as usize] += 1;
            }
        }
        let expected = f64::from(COUNT) / 256.0;
        for (i, counts) in counts.iter().enumerate() {
            let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
            assert!((chi - 255.0).abs() < 5.0 * 22.6, "byte {i}: chi square {chi}");
        }
    }
}

mod simulation {
    use crate::common::on_every_adapter;
    use crate::moments::{Sums, variance_error};
    use crate::prop2::{CURVATURES, DEVIATIONS, SETTINGS, START};
    use crate::simulate::{Ensemble, Measure, Run, SimulationError, Simulator};
    use crate::{assert_normal, turn};
    use lookahead_wgpu::analysis::{Descent, NoisyQuadratic};
    use lookahead_wgpu::{Lookahead, StatePolicy};

    fn model() -> NoisyQuadratic {
        NoisyQuadratic::new(&CURVATURES, &DEVIATIONS).unwrap()
    }

    fn run(descent: Descent, lookahead: Option<Lookahead>, steps: u64, number: u32) -> Run {
        Run { descent, lookahead, steps, measure: Measure::All, splits_sync: false, seed: 1, number }
    }

    /// How far mean and variance of each coordinate are from the exact recursion, in standard errors, at each sample.
    fn deviations(simulator: &Simulator<'_>, repeats: u32, run: &Run) -> Vec<f64> {
        let model = model();
        let ensemble = Ensemble { model: &model, start: &START, repeats };
        let mut exact = model.recursion(run.descent, run.lookahead, &START).unwrap();
        let count = f64::from(repeats);
        let mut deviations = Vec::new();
        for sample in simulator.measure(&ensemble, run).unwrap() {
            while exact.steps() < sample.step {
                exact.step();
            }
            let expected = if sample.is_before_sync { exact.unsynchronised() } else { exact.fast() };
            for (i, start) in START.iter().enumerate() {
                let (mean, variance) = (sample.moments.mean[i], sample.moments.variance[i]);
                if sample.step == 0 {
                    assert_eq!((mean, variance), (*start, 0.0));
                    continue;
                }
                deviations.push((mean - expected.mean[i]) / (expected.variance[i] / count).sqrt());
                let error = variance_error(expected.variance[i], count);
                deviations.push((variance - expected.variance[i]) / error);
            }
        }
        deviations
    }

    #[test]
    fn every_step_of_sgd_heavy_ball_and_lookahead_has_the_exact_mean_and_variance() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            let simulator = Simulator::new(gpu).unwrap();
            let heavy = Descent::heavy_ball(0.2, 0.8);
            let mut runs = vec![
                run(Descent::sgd(0.5), None, 30, 0),
                run(Descent::sgd(0.1), Some(Lookahead::new(3, 0.3)), 30, 1),
                run(Descent::sgd(0.5), Some(Lookahead::new(5, 0.5)), 30, 2),
                run(Descent::sgd(0.6), Some(Lookahead::new(10, 0.8)), 30, 3),
                run(Descent::sgd(0.5), Some(Lookahead::new(1, 0.5)), 30, 4),
                run(heavy, None, 30, 5),
            ];
            let policies = [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset];
            for (number, policy) in (6..).zip(policies) {
                runs.push(run(heavy, Some(Lookahead::new(5, 0.5).policy(policy)), 30, number));
            }
            let split = run(Descent::sgd(0.5), Some(Lookahead::new(5, 0.5)), 30, 9);
            runs.push(Run { splits_sync: true, ..split });
            let all: Vec<_> = runs.iter().flat_map(|run| deviations(&simulator, 4096, run)).collect();
            // Those of successive steps go together: some hundred are independent.
            assert_normal("3060 means and variances", &all, 0.3);
        });
    }

    #[test]
    fn ten_million_coordinate_repeats_agree_with_the_recursions() {
        let _turn = turn();
        const REPEATS: u32 = 1 << 18;
        const { assert!(SETTINGS.len() * START.len() * REPEATS as usize >= 10_000_000) };
        on_every_adapter(|gpu| {
            let simulator = Simulator::new(gpu).unwrap();
            let mut all = Vec::new();
            for (number, (k, alpha, gamma)) in (100..).zip(SETTINGS) {
                let lookahead = (alpha < 1.0).then(|| Lookahead::new(k, alpha));
                // Not a whole number of cycles for every k.
                let run = run(Descent::sgd(gamma), lookahead, 12, number);
                all.extend(deviations(&simulator, REPEATS, &Run { measure: Measure::Last, ..run }));
            }
            // 100 independent squares: the standard deviation of their mean is 0.14.
            assert_normal("13.1 million coordinate-repeats", &all, 0.6);
        });
    }

    #[test]
    fn a_sync_of_its_own_does_what_the_fused_one_does() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            let simulator = Simulator::new(gpu).unwrap();
            let model = model();
            let ensemble = Ensemble { model: &model, start: &START, repeats: 256 };
            let fused = run(Descent::sgd(0.5), Some(Lookahead::new(4, 0.5)), 12, 0);
            let split = Run { splits_sync: true, ..fused.clone() };
            let fused = simulator.measure(&ensemble, &fused).unwrap();
            let split = simulator.measure(&ensemble, &split).unwrap();
            assert_eq!((fused.len(), split.len()), (13, 16));
            let after: Vec<_> = split.iter().filter(|sample| !sample.is_before_sync).collect();
            for (fused, split) in fused.iter().zip(after) {
                for (a, b) in fused.moments.variance.iter().zip(&split.moments.variance) {
                    assert!((a - b).abs() <= 1e-5 * a, "step {}: {a} and {b}", fused.step);
                }
            }
            // The sync lowers the variance.
            let (before, after) = (&split[4], &split[5]);
            assert!(before.is_before_sync && before.step == 4 && after.step == 4);
            assert!(after.moments.variance[0] < 0.5 * before.moments.variance[0]);
        });
    }

    #[test]
    fn a_small_variance_around_a_large_mean_is_not_lost() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            // One step adds noise of variance 1 to a thousand.
            let model = NoisyQuadratic::new(&[1e-3], &[1e3]).unwrap();
            let ensemble = Ensemble { model: &model, start: &[1000.0], repeats: 1 << 16 };
            let run = Run { measure: Measure::Last, ..run(Descent::sgd(1.0), None, 1, 0) };
            let samples = Simulator::new(gpu).unwrap().measure(&ensemble, &run).unwrap();
            let error = variance_error(1.0, f64::from(ensemble.repeats));
            assert!((samples[0].moments.variance[0] - 1.0).abs() < 5.0 * error, "{samples:?}");
            assert!((samples[0].moments.mean[0] - 999.0).abs() < 5.0 / 256.0, "{samples:?}");
        });
    }

    #[test]
    fn runs_that_cannot_be_are_refused() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            let simulator = Simulator::new(gpu).unwrap();
            let model = model();
            let ensemble = |repeats| Ensemble { model: &model, start: &START, repeats };
            let sgd = run(Descent::sgd(0.5), None, 4, 0);
            for repeats in [0, 128, 300] {
                let outcome = simulator.measure(&ensemble(repeats), &sgd);
                assert!(matches!(outcome, Err(SimulationError::Repeats(found)) if found == repeats));
            }
            for steps in [0, u32::MAX.into(), (1 << 32) + 4, u64::MAX] {
                let outcome = simulator.measure(&ensemble(256), &Run { steps, ..sgd.clone() });
                assert!(matches!(outcome, Err(SimulationError::Steps { .. })));
            }
            let bad = Run { lookahead: Some(Lookahead::new(0, 0.5)), ..sgd };
            assert!(matches!(simulator.measure(&ensemble(256), &bad), Err(SimulationError::Library(_))));
        });
    }

    #[test]
    fn parts_join_to_the_moments_of_the_whole() {
        let values = [1.0, 4.0, -2.0, 0.5, 1e4, 3.0, 7.0];
        let sums = |values: &[f64]| {
            let single = values.iter().map(|value| Sums { count: 1.0, mean: *value, squares: 0.0 });
            single.fold(Sums::default(), Sums::join)
        };
        let (all, joined) = (sums(&values), sums(&values[..3]).join(sums(&values[3..])));
        let mean = values.iter().sum::<f64>() / 7.0;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 6.0;
        for sums in [all, joined] {
            assert!((sums.mean - mean).abs() < 1e-9 && (sums.variance() / variance - 1.0).abs() < 1e-12);
        }
    }
}

mod contractions {
    use crate::contraction::{measured_rate, one_term, two_terms};
    use crate::{common::on_every_adapter, fig4, simulate::Simulator, turn};
    use lookahead_wgpu::analysis::{Descent, best_learning_rate, log_spaced_curvatures};

    #[test]
    fn the_weights_contract_as_the_spectral_radius_says() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            let simulator = Simulator::new(gpu).unwrap();
            for kappa in [10.0, 1000.0] {
                let curvatures = log_spaced_curvatures(kappa, fig4::CURVATURES).unwrap();
                for (method, policy, _) in fig4::METHODS {
                    let lookahead = fig4::lookahead(policy);
                    let best = best_learning_rate(fig4::MOMENTUM, lookahead.as_ref(), &curvatures).unwrap();
                    let descent = Descent::heavy_ball(best.learning_rate, fig4::MOMENTUM);
                    let found = measured_rate(&simulator, descent, lookahead, &curvatures, fig4::K).unwrap();
                    let error = (1.0 - found) / (1.0 - best.rate) - 1.0;
                    println!("{method}, kappa {kappa}: relative error of 1 - rate {error:.1e}");
                    // f32, over 480 steps.
                    assert!(error.abs() < 1e-3, "{method}, kappa {kappa}: {error}");
                }
            }
        });
    }

    #[test]
    fn recurrences_are_found_in_sequences() {
        let sequence = |f: &dyn Fn(f64) -> f64| -> Vec<f64> { (0..20).map(|n| f(f64::from(n))).collect() };
        assert!((one_term(&sequence(&|n| 3.0 * (-0.7_f64).powf(n).abs())) - 0.7).abs() < 1e-12);
        let real = sequence(&|n| 2.0 * 0.9_f64.powf(n) - 0.4_f64.powf(n));
        assert!((two_terms(&real) - 0.9).abs() < 1e-9);
        let complex = sequence(&|n| 0.8_f64.powf(n) * (1.3 * n).cos());
        assert!((two_terms(&complex) - 0.8).abs() < 1e-9);
        // One mode alone, and none.
        assert!((two_terms(&sequence(&|n| 0.6_f64.powf(n))) - 0.6).abs() < 1e-9);
        assert_eq!((two_terms(&[0.0; 9]), one_term(&[0.0; 9]), one_term(&[1.0])), (0.0, 0.0, 0.0));
    }
}

mod figures {
    use crate::plot::{Colour, Mark, PlotError, Series};
    use crate::report::{Findings, csv, prop1_rows};
    use crate::simulate::Simulator;
    use crate::{common::gpus, common::on_every_adapter, fig3, fig4, prop1, prop2, turn};

    #[test]
    fn the_gpu_finds_the_clipped_estimate_of_alpha() {
        let _turn = turn();
        on_every_adapter(|gpu| {
            let mut calls = 0;
            let loops = prop1::compute(gpu, &mut || calls += 1).unwrap();
            assert_eq!((calls, loops.len()), (prop1::work(), 2));
            for found in &loops {
                assert!((found.measured - found.alpha_hat).abs() < 1e-5, "{found:?}");
                let least = found.losses.iter().min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap();
                assert!((least.alpha - found.alpha_star).abs() < 0.02, "{found:?}");
            }
            assert!(prop1::table(&loops).lines().all(|line| line.len() <= 100));
            // One of them is clipped, the other is not.
            assert_eq!(loops[0].measured, 1.0);
            assert!(loops[1].alpha_star < 1.0 && loops[1].measured < 1.0);
        });
    }

    #[test]
    fn figure_4_has_the_known_rates_and_every_output() {
        let _turn = turn();
        let mut calls = 0;
        let simulator = Simulator::new(&gpus()[0]).unwrap();
        let points = fig4::compute(&simulator, &mut || calls += 1).unwrap();
        assert_eq!(calls, fig4::work());
        let at = |kappa: f64| points.iter().filter(move |point| point.kappa == kappa);
        let known = [("cm", 0.0050), ("maintain", 0.0103), ("interpolate", 0.0179), ("reset", 0.0292)];
        for (point, (method, rate)) in at(10.0).zip(known) {
            assert_eq!(point.method, method);
            // The learning rate is refined, where the known figures are of a grid: never worse.
            assert!(point.rate > rate - 5e-5 && point.rate < 1.02 * rate, "{point:?}");
        }
        assert!(fig4::largest_error(&points) < 1e-3);
        assert!(fig4::table(&points).lines().all(|line| line.len() <= 100));

        let figure = fig4::figure(&points).unwrap();
        let png = figure.png().unwrap();
        let info = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        assert_eq!(info.info().width, 1000);
        assert_eq!(info.info().pixel_dims.unwrap().xppu, 11_811);
        assert!(png.len() < 150_000);
        let svg = figure.svg().unwrap();
        assert!(svg.contains("width=\"85.00mm\""));
        for words in ["condition number", "Lookahead, reset", "under-damped", "over-damped"] {
            assert!(svg.contains(words), "{words}");
        }

        let table = String::from_utf8(csv(&points).unwrap()).unwrap();
        assert!(table.starts_with("kappa,method,rate,learning_rate,measured\n"));
        assert_eq!(table.lines().count(), points.len() + 1);
        let json = serde_json::to_value(Findings { fig4: Some(points), ..Default::default() }).unwrap();
        assert_eq!(json["fig4"][0]["method"], "cm");
        assert!(json["fig4"][0]["rate"].is_f64() && json["fig4"][0]["kappa"].is_f64());
        assert_eq!(json.as_object().unwrap().len(), 1);
    }

    #[test]
    fn the_other_figures_are_drawn_and_written() {
        let row = prop2::Row {
            k: 10,
            alpha: 0.5,
            gamma: 0.5,
            a: 0.25,
            sigma: 1.0,
            v_sgd: 0.0667,
            v_la: 0.0258,
            measured: 0.0259,
            stderr: 1e-4,
            steps: 100,
            repeats: 1024,
        };
        assert!((prop2::deviations(std::slice::from_ref(&row))[0] - 1.0).abs() < 1e-9);
        let step = |step, variance, is_before_sync| prop2::Step {
            method: "lookahead",
            step,
            is_before_sync,
            variance,
            measured: variance,
            stderr: 1e-4,
        };
        let steps = vec![step(0, 0.0, false), step(10, 0.06, true), step(10, 0.02, false)];
        let outcome = prop2::Outcome { rows: vec![row], steps };
        let svg = prop2::figure(&outcome).svg().unwrap();
        assert!(svg.contains("variance of a weight") && svg.contains("fixed points"));
        let header = "k,alpha,gamma,a,sigma,v_sgd,v_la,measured,stderr,steps,repeats\n";
        assert!(String::from_utf8(csv(&outcome.rows).unwrap()).unwrap().starts_with(header));
        assert!(prop2::table(&outcome.rows).lines().all(|line| line.len() <= 100));

        let point = |gamma, alpha: Option<f64>| fig3::Point {
            method: if alpha.is_some() { "lookahead" } else { "sgd" },
            k: alpha.map(|_| 5),
            alpha,
            gamma,
            loss: 0.3,
            excess: 0.05 + gamma,
            measured: alpha,
            stderr: alpha.map(|_| 0.1),
        };
        let points = [point(0.1, None), point(0.2, None), point(0.1, Some(0.5))];
        assert!(fig3::figure(&points).svg().unwrap().contains("expected loss above minimum"));
        assert_eq!(fig3::deviations(&points).len(), 1);
        assert!(fig3::table(&points).contains("standard errors"));

        let found = prop1::Loop {
            inner: "sgd",
            learning_rate: 0.1,
            momentum: 0.0,
            k: 5,
            theta_0: vec![0.0; 2],
            theta_k: vec![1.0; 2],
            alpha_star: 0.5,
            alpha_hat: 0.4,
            measured: 0.4,
            losses: [0.0, 1.0, 2.0].map(|alpha| prop1::Loss { alpha, loss: 1.0 + alpha }).into(),
        };
        let rows = String::from_utf8(csv(prop1_rows(std::slice::from_ref(&found))).unwrap()).unwrap();
        assert_eq!(rows.lines().nth(1).unwrap(), "sgd,0.0,1.0,0.5,0.4,0.4");
        assert!(prop1::figure(&[found]).svg().unwrap().contains("loss above minimum"));
    }

    #[test]
    fn a_figure_of_nothing_is_refused() {
        let mut figure = fig3::figure(&[]);
        assert!(matches!(figure.png(), Err(PlotError::Empty("fig3"))));
        let points = vec![(f64::NAN, 1.0)];
        figure.series.push(Series { name: None, colour: Colour::Plain, mark: Mark::Dots, points });
        assert!(matches!(figure.svg(), Err(PlotError::Empty("fig3"))));
    }
}

mod command_line {
    use crate::arguments::{Arguments, Subject};
    use crate::paths::{self, PathError};
    use crate::report::{Files, Outputs, ReportError, claims};
    use clap::{CommandFactory, Parser};
    use std::path::Path;

    #[test]
    fn what_it_says_is_understood() {
        let arguments = Arguments::try_parse_from(["theory", "fig4", "--json", "a.json"]).unwrap();
        assert_eq!(arguments.subject, Subject::Fig4);
        assert_eq!((arguments.out.as_path(), arguments.seed), (Path::new("theory"), 1));
        assert_eq!((arguments.json.as_deref(), arguments.adapter), (Some(Path::new("a.json")), None));
        assert!(Subject::All.includes(Subject::Prop2) && !Subject::Fig3.includes(Subject::Fig4));
        for bad in [&["theory"][..], &["theory", "fig5"], &["theory", "all", "--seed", "-1"]] {
            assert!(Arguments::try_parse_from(bad).is_err(), "{bad:?}");
        }
        let help = Arguments::command().render_long_help().to_string();
        assert!(help.contains("cargo run --release --example theory -- all"));
        assert!(help.contains(&format!("{} repeats", crate::fig3::REPEATS)), "{help}");
        assert!(help.contains(&crate::prop2::REPEATS.to_string()), "{help}");
    }

    #[test]
    fn two_outputs_on_one_path_are_refused_and_nothing_is_made() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("theory_paths");
        // It may not be there.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let out = folder.join("out");
        let check = |subject: &str, json: &Path| {
            let words = ["theory", subject, "--out", out.to_str().unwrap(), "--json", json.to_str().unwrap()];
            paths::check(&claims(&Arguments::try_parse_from(words).unwrap()))
        };
        for name in ["prop2_steps.csv", "fig4.png", "./fig4.svg", "../out/prop1.csv"] {
            let message = check("all", &out.join(name)).unwrap_err().to_string();
            assert!(message.contains("--json") && message.contains("--out"), "{message}");
        }
        assert!(matches!(check("fig4", &out), Err(PathError::Shared { .. })));
        assert!(check("fig4", &out.join("prop2_steps.csv")).is_ok());
        assert!(check("all", &out.join("all.json")).is_ok());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        #[cfg(unix)]
        {
            std::fs::create_dir(&out).unwrap();
            std::fs::write(out.join("fig4.csv"), "1").unwrap();
            std::os::unix::fs::symlink("fig4.csv", out.join("fig4.svg")).unwrap();
            std::fs::hard_link(out.join("fig4.csv"), folder.join("json")).unwrap();
            assert!(matches!(check("fig4", &folder.join("all.json")), Err(PathError::Shared { .. })));
            std::fs::remove_file(out.join("fig4.svg")).unwrap();
            assert!(matches!(check("fig4", &folder.join("json")), Err(PathError::Shared { .. })));
            assert!(check("fig4", &folder.join("all.json")).is_ok());
        }
    }

    #[test]
    fn the_json_may_lie_in_the_folder_that_is_made() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("theory_json");
        // It may not be there.
        let _ = std::fs::remove_dir_all(&folder);
        let (out, json) = (folder.join("figures"), folder.join("figures/all.json"));
        let words = ["theory", "fig4", "--out", out.to_str().unwrap(), "--json", json.to_str().unwrap()];
        let outputs = Outputs::open(&Arguments::try_parse_from(words).unwrap()).unwrap();
        outputs.json.unwrap().write(b"{}").unwrap();
        assert_eq!(std::fs::read(&json).unwrap(), b"{}");
        assert_eq!(outputs.figures.map(|files| files.is_some()), [false, true, false, false]);
    }

    #[test]
    fn files_that_cannot_be_written_are_named_before_any_work() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("theory_files");
        // It may not be there.
        let _ = std::fs::remove_dir_all(&folder);
        drop(Files::open(&folder.join("new"), "fig4", &["fig4"]).unwrap());
        // What got nothing written leaves nothing behind.
        assert_eq!(std::fs::read_dir(folder.join("new")).unwrap().count(), 0);
        let mut figure = crate::fig3::figure(&[]);
        figure.x.range = 0.1..1.0;
        figure.y.range = 0.1..1.0;
        let files = Files::open(&folder.join("new"), "fig3", &["fig3"]).unwrap();
        assert!(matches!(files.write(&figure, &[vec![]]), Err(ReportError::Plot(_))));
        figure.series[0].points = vec![(0.2, 0.3), (0.4, 0.5)];
        let files = Files::open(&folder.join("new"), "fig3", &["fig3"]).unwrap();
        let written = files.write(&figure, &[b"a,b\n".to_vec()]).unwrap();
        let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["fig3.png", "fig3.svg", "fig3.csv"]);
        assert_eq!(std::fs::read(&written[2]).unwrap(), b"a,b\n");
        let file = folder.join("file");
        std::fs::write(&file, "x").unwrap();
        let problem = Files::open(&file, "fig4", &[]).err().unwrap();
        assert!(matches!(problem, ReportError::Folder { .. }), "{problem}");
        std::fs::create_dir(folder.join("new/fig4.png")).unwrap();
        let problem = Files::open(&folder.join("new"), "fig4", &[]).err().unwrap().to_string();
        assert!(problem.contains("fig4.png"), "{problem}");
    }
}
