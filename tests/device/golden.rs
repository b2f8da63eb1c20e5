//! Every rule against trajectories of independent libraries: torch.optim and optax in f64.
//!
//! `LOOKAHEAD_GOLDEN` names another folder of files of the same form; `tests/golden/README.md` says which.

#[cfg(not(target_arch = "wasm32"))]
use std::collections::BTreeMap;
#[cfg(not(target_arch = "wasm32"))]
use std::path::PathBuf;

use crate::{
    common,
    runs::{Problem, Run, parse},
};
use lookahead_wgpu::{Field, gpu::Gpu};

/// f32 against f64: weights of size up to 4 are rounded to 2.4e-7 at each of 40 steps. Adam and its like divide
/// by sqrt(v), which passes a gradient's own rounding on undamped where it is small. The sign that Lion takes
/// is of 2e-5 at least in these runs, so that none flips.
const TOLERANCE: f64 = 1e-5;

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn trajectories_agree_with_torch_and_optax() {
    let folder = std::env::var_os("LOOKAHEAD_GOLDEN")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        // Files of another form have the script that wrote them beside them.
        .filter(|path| !path.with_extension("py").exists())
        .collect();
    files.sort();
    let mut compared = 0;
    let worst = std::cell::RefCell::new(BTreeMap::new());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = parse(&path.display().to_string(), &text);
        for run in file.supported() {
            common::on_every_adapter(|gpu| {
                // A browser runs all of them on SwiftShader.
                if gpu.info.name.contains("SwiftShader") && compared % 4 != 0 {
                    return;
                }
                let error = pollster::block_on(compare(gpu, &file.problem, run));
                let mut worst = worst.borrow_mut();
                let worst = worst.entry(run.rule.clone()).or_insert(0.0f64);
                *worst = worst.max(error);
            });
            compared += 1;
        }
    }
    assert!(compared > 0, "{} has no run of a rule that the crate has", folder.display());
    println!("{compared} trajectories on {} adapters, off at most by", common::gpus().len());
    for (rule, error) in worst.into_inner() {
        println!("{error:9.1e} {rule}");
    }
}

/// The same in a browser, which has no files: gives the number of runs and the largest error.
#[cfg(target_arch = "wasm32")]
pub async fn trajectories_agree_with_torch_and_optax(gpu: &Gpu) -> (usize, f64) {
    let (mut compared, mut worst) = (0, 0.0f64);
    for (name, text) in
        [("torch", include_str!("../golden/torch.json")), ("optax", include_str!("../golden/optax.json"))]
    {
        let file = parse(name, text);
        for run in file.supported() {
            worst = worst.max(compare(gpu, &file.problem, run).await);
            compared += 1;
        }
    }
    assert!(compared > 0, "no run of a rule that the crate has");
    (compared, worst)
}

/// The largest error of a run.
async fn compare(gpu: &Gpu, problem: &Problem, run: &Run) -> f64 {
    let mut worst = 0.0f64;
    let what = format!("{} {:?} k={:?} alpha={:?} {:?}", run.rule, run.hyper, run.k, run.alpha, run.policy);
    let names = problem.names();
    let mut optimizer =
        run.builder(problem).pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    for (name, values) in names.iter().zip(problem.split(&problem.x0)) {
        optimizer.upload(name, &values).unwrap();
    }
    let mut x: Vec<f64> = problem.x0.iter().map(|value| f64::from(*value as f32)).collect();
    for step in 0..problem.steps {
        for (name, values) in names.iter().zip(problem.split(&problem.gradient(step, &x))) {
            common::write_gradient(gpu, &optimizer, name, &values);
        }
        common::submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        let mut found = Vec::new();
        for name in &names {
            found.extend(common::download(&optimizer, Field::Weights, name).await);
        }
        let error = common::largest_error(&found, &run.x[step]);
        assert!(error < TOLERANCE, "{what}: off by {error:e} after step {step}");
        worst = worst.max(error);
        x = common::widen(&found);
    }
    worst
}
