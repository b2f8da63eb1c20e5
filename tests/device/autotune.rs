//! What autotune finds can be built with, saved and loaded.

use crate::common::{gpu, noise, on_every_adapter, write_gradient};
use lookahead_wgpu::{Error, Field, Optimizer, Shape, autotune, rules::Sgd};

#[test]
fn what_is_found_is_saved_and_built_with() {
    let gpu = gpu();
    let begin = std::time::Instant::now();
    let shape = autotune(&gpu.device, &gpu.queue).unwrap();
    println!("{shape:?} after {:.1} s on {}", begin.elapsed().as_secs_f64(), gpu.label());
    let loaded: Shape = serde_json::from_str(&serde_json::to_string(&shape).unwrap()).unwrap();
    assert_eq!(loaded, shape);
    let builder = Optimizer::builder(Sgd::new(0.1)).tensor("w", &[1000]).shape(loaded);
    builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
}

/// Every cut covers every value, and no other: lengths around those of a workgroup.
#[test]
fn every_cut_steps_every_value_once() {
    on_every_adapter(|gpu| {
        for (workgroup, vec4s) in [(256, 1), (64, 4), (32, 8), (1, 2)] {
            let whole = (workgroup * vec4s * 4) as usize;
            for len in [1, 5, whole - 1, whole, whole + 1, 3 * whole + 130] {
                let builder = Optimizer::builder(Sgd::new(1.0)).tensor("w", &[len]).tensor("x", &[3]);
                let builder = builder.shape(Shape::new(workgroup, vec4s, 1)).pipelines(&gpu.pipelines);
                let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
                let [weights, gradient] = [0, 1].map(|seed| noise(len, seed));
                optimizer.upload("w", &weights).unwrap();
                write_gradient(gpu, &optimizer, "w", &gradient);
                crate::common::submit(gpu, |encoder| optimizer.step(encoder).unwrap());
                let expected: Vec<f32> = weights.iter().zip(&gradient).map(|(w, g)| w - g).collect();
                assert_eq!(optimizer.download_blocking(Field::Weights, "w").unwrap(), expected);
                assert_eq!(optimizer.download_blocking(Field::Weights, "x").unwrap(), [0.0; 3]);
            }
        }
    });
}

#[test]
fn cuts_that_cannot_be_are_refused() {
    let gpu = gpu();
    for shape in [Shape::new(0, 1, 1), Shape::new(48, 1, 1), Shape::new(64, 3, 1), Shape::new(64, 1, 2048)] {
        let builder = Optimizer::builder(Sgd::new(0.1)).tensor("w", &[10]).shape(shape);
        let error = builder.build_blocking(&gpu.device, &gpu.queue).unwrap_err();
        assert!(matches!(error, Error::Hyperparameter { .. }), "{error}");
    }
    // More than the device has threads for are as many as it has.
    let builder = Optimizer::builder(Sgd::new(0.1)).tensor("w", &[10]).shape(Shape::new(1024, 8, 1024));
    builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
}
