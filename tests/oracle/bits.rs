//! The bits of everything that training leaves, on each adapter.
//!
//! Drivers differ in what WGSL leaves open (fused products, quotients, roots), and the software ones compile for the
//! processor: records are kept by adapter, driver and processor. Where there is none for those of this machine, this
//! says so, and compares runs with each other.

use std::{collections::BTreeMap, fmt::Write as _};

use lookahead_wgpu::{Field, Gradients, Half, Optimizer, Slice, Snapshot, gpu::Gpu, wgpu};

use crate::{
    cases::{self, Case},
    common::{noise, on_every_adapter, read_slice, submit},
    golden,
    places::{build, places},
    record::{self, compare, folder, hash, is_recording},
};

/// Calls of each case: more than two cycles.
const CALLS: u64 = 8;

#[test]
fn options_leave_the_bits_that_are_recorded() {
    let cases = cases::all();
    let cases: Vec<_> = cases.iter().filter(|case| case.is_trained).collect();
    check("options", &cases, &|gpu, case| (case.name.clone(), trained(gpu, case)));
}

/// One run of each rule, with every policy in turn.
#[test]
fn golden_runs_leave_the_bits_that_are_recorded() {
    let files = [include_str!("../golden/torch.json"), include_str!("../golden/optax.json")];
    let files = files.map(|text| golden::parse("golden", text));
    let mut rules: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for file in &files {
        for run in file.supported() {
            rules.entry(&run.rule).or_default().push((&file.problem, run));
        }
    }
    let runs: Vec<_> = rules.values().enumerate().map(|(place, runs)| runs[place % runs.len()]).collect();
    check("golden", &runs, &|gpu, (problem, run)| {
        let name = format!("{} {}", run.rule, run.policy.as_deref().unwrap_or("alone"));
        (name, golden_run(gpu, problem, run))
    });
}

/// Runs the cases on every adapter, and compares with the records.
fn check<T>(kind: &str, cases: &[T], run: &dyn Fn(&Gpu, &T) -> (String, String)) {
    on_every_adapter(|gpu| {
        let line = |case: &T| {
            let (name, text) = run(gpu, case);
            record::trace(&format!("{kind}-{}", slug(gpu)), &name, &text);
            format!("{} {}", name.replace(' ', "_"), hash(text.as_bytes()))
        };
        let path = folder().join("bits").join(format!("{kind}-{}.txt", slug(gpu)));
        let all = || cases.iter().map(line).collect::<Vec<_>>();
        if is_recording() {
            let found = all();
            std::fs::create_dir_all(folder().join("bits")).unwrap();
            std::fs::write(&path, format!("# {}\n{}\n", key(gpu), found.join("\n"))).unwrap();
            eprintln!("recorded {} cases in {}", found.len(), path.display());
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let recorded: Vec<_> = text.lines().skip(1).map(str::to_owned).collect();
            compare(&path, &recorded, &all());
        } else {
            eprintln!(
                "NO RECORD of the bits on {}: every fourth case is run twice instead, and compared with itself. In a \
                 checkout that is known to be right, `LOOKAHEAD_RECORD=1 cargo test --test oracle bits` writes {}",
                key(gpu),
                path.display()
            );
            let [first, again] = [(); 2].map(|()| cases.iter().step_by(4).map(line).collect::<Vec<_>>());
            compare(&path, &first, &again);
        }
    });
}

/// What the bits hang on besides this crate.
fn key(gpu: &Gpu) -> String {
    let wgpu::AdapterInfo { name, backend, driver, driver_info, .. } = &gpu.info;
    format!("{name}, {backend}, {driver} {driver_info}, {}{}", std::env::consts::ARCH, features())
}

/// Those of the processor that change how products are summed and in what widths.
fn features() -> String {
    #[cfg(target_arch = "x86_64")]
    let has = [
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let has: [(&str, bool); 0] = [];
    has.iter().filter(|(_, has)| *has).map(|(name, _)| format!(" {name}")).collect()
}

/// The key as part of a file's name.
fn slug(gpu: &Gpu) -> String {
    let first = gpu.info.name.split([' ', '(']).next().unwrap_or_default();
    format!("{first}-{}-{}", gpu.info.backend, hash(key(gpu).as_bytes())).to_lowercase()
}

/// What a case leaves after some steps.
fn trained(gpu: &Gpu, case: &Case) -> String {
    let small = case.small.map(|small| {
        let limits = small.limits(gpu.device.limits());
        pollster::block_on(Gpu::with_limits(&gpu.adapter, limits)).unwrap()
    });
    let gpu = small.as_ref().unwrap_or(gpu);
    let places = places(case, &gpu.device);
    let (mut optimizer, borrowed) = build(case, &gpu.device, &gpu.queue, &places);
    train(gpu, case, &mut optimizer, borrowed.as_ref(), &places, CALLS);
    let mut text = state(&optimizer);
    for (name, _) in case.tensors() {
        if let Ok(slice) = optimizer.half_weights(&name) {
            let copy = read_slice(gpu, &slice);
            writeln!(text, "half {name} {}", hash(bytemuck::cast_slice(&copy))).unwrap();
        }
    }
    if let Ok(alphas) = optimizer.download_alphas_blocking() {
        writeln!(text, "alphas {alphas:?}").unwrap();
    }
    if let Ok(norms) = optimizer.download_gradient_norms_blocking() {
        writeln!(text, "norms {norms:?}").unwrap();
    }
    text
}

/// Makes a case's calls, each with new gradients; of a guarded case one has a gradient that is not finite.
pub fn train(
    gpu: &Gpu,
    case: &Case,
    optimizer: &mut Optimizer,
    borrowed: Option<&Gradients>,
    places: &[(Slice, Slice)],
    calls: u64,
) {
    let tensors = case.tensors();
    for (name, shape) in &tensors {
        let values: Vec<f32> = noise(shape.iter().product(), 77).iter().map(|it| it.abs() + 0.1).collect();
        if let Ok(slice) = optimizer.curvature(name) {
            gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&values));
        }
    }
    for call in 0..calls {
        for (index, (name, shape)) in tensors.iter().enumerate() {
            let mut values = noise(shape.iter().product(), 100 * (call + 1) + index as u64);
            if call == 4 && index == 1 && case.name.contains("guard") {
                values[0] = f32::INFINITY;
            }
            let mut bytes = encode(&values, case.half_gradients);
            let slices = match places.get(index) {
                None => optimizer.buffers(Field::Gradients, name).unwrap(),
                Some((_, gradients)) => vec![gradients.clone()],
            };
            for slice in slices {
                let rest = bytes.split_off(slice.size as usize);
                gpu.queue.write_buffer(&slice.buffer, slice.offset, &bytes);
                bytes = rest;
            }
        }
        step(gpu, optimizer, borrowed);
    }
}

fn step(gpu: &Gpu, optimizer: &mut Optimizer, borrowed: Option<&Gradients>) {
    submit(gpu, |encoder| match borrowed {
        None => optimizer.step(encoder),
        Some(gradients) => optimizer.step_with(encoder, gradients),
    })
    .unwrap();
}

/// Values as gradient buffers hold them.
fn encode(values: &[f32], half: Option<Half>) -> Vec<u8> {
    let Some(half) = half else { return bytemuck::cast_slice(values).to_vec() };
    let mut bits: Vec<u16> = values
        .iter()
        .map(|value| match half {
            Half::F16 => half::f16::from_f32(*value).to_bits(),
            Half::Bf16 => half::bf16::from_f32(*value).to_bits(),
        })
        .collect();
    bits.resize(values.len().next_multiple_of(2), 0);
    bytemuck::cast_slice(&bits).to_vec()
}

/// What one of the golden runs leaves, with the gradients at the weights that the file has.
fn golden_run(gpu: &Gpu, problem: &golden::Problem, run: &golden::Run) -> String {
    let mut optimizer =
        run.builder(problem).pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
    for (name, values) in problem.names().iter().zip(problem.split(&problem.x0)) {
        optimizer.upload(name, &values).unwrap();
    }
    let mut x = &problem.x0;
    for index in 0..problem.steps {
        for (name, values) in problem.names().iter().zip(problem.split(&problem.gradient(index, x))) {
            crate::common::write_gradient(gpu, &optimizer, name, &values);
        }
        step(gpu, &mut optimizer, None);
        x = &run.x[index];
    }
    state(&optimizer)
}

/// Everything that is exported: counters, and each field's bits. The words are those of the first record.
fn state(optimizer: &Optimizer) -> String {
    let Snapshot {
        steps,
        skipped,
        loss_scale,
        loss_unscale,
        since_rescaled,
        accumulated,
        average_start,
        groups,
        tensors,
        ..
    } = optimizer.export_blocking().unwrap();
    let mut text = format!(
        "steps {steps}, skipped {skipped}, scale {loss_scale} {loss_unscale} {since_rescaled}, gathered {accumulated}, \
         average from {average_start}\n"
    );
    for group in groups {
        writeln!(text, "group {}: {}, {}, {}", group.name, group.count, group.position, group.initialised)
            .unwrap();
    }
    for tensor in tensors {
        for (field, values) in tensor.fields {
            let bits = hash(bytemuck::cast_slice(&values));
            writeln!(text, "{} {field} {bits}", tensor.name).unwrap();
        }
    }
    text
}
