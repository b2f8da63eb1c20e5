//! Pipelines that several optimizers share.

use lookahead_wgpu::{
    Builder, Clip, Error, Field, Lookahead, Optimizer,
    gpu::{Gpu, Pipelines},
    rules::{Adam, Sgd},
};

use crate::common::{gpu, on_every_adapter, submit, write_gradient};

/// The weights after two steps of a kind of optimizer, and how many pipelines there are then.
fn trained(gpu: &Gpu, pipelines: &Pipelines, learning_rate: f64, k: u32) -> (Vec<f32>, usize) {
    let mut optimizer = Optimizer::builder(Adam::new(learning_rate))
        .lookahead(Lookahead::new(k, 0.5))
        .tensor("w", &[5])
        .pipelines(pipelines)
        .build_blocking(&gpu.device, &gpu.queue)
        .unwrap();
    optimizer.upload("w", &[1.0, -2.0, 3.0, -4.0, 5.0]).unwrap();
    for _ in 0..2 {
        write_gradient(gpu, &optimizer, "w", &[0.5, 0.25, -1.0, 2.0, -0.125]);
        submit(gpu, |encoder| optimizer.step(encoder).unwrap());
    }
    (pollster::block_on(optimizer.download(Field::Weights, "w")).unwrap(), pipelines.len())
}

#[test]
fn a_second_optimizer_makes_none_and_steps_the_same() {
    on_every_adapter(|gpu| {
        let (shared, alone) = (Pipelines::default(), Pipelines::default());
        assert!(shared.is_empty());
        let (_, made) = trained(gpu, &shared, 0.5, 3);
        assert!(made > 0);
        let (again, still) = trained(gpu, &shared, 0.125, 2);
        assert_eq!(still, made, "other hyperparameters, the same kernels");
        assert_eq!(again, trained(gpu, &alone, 0.125, 2).0);
    });
}

#[test]
fn other_kernels_are_others() {
    let gpu = gpu();
    let pipelines = Pipelines::default();
    let build = |builder: Builder| {
        let builder = builder.tensor("w", &[5]).pipelines(&pipelines);
        drop(builder.build_blocking(&gpu.device, &gpu.queue).unwrap());
        pipelines.len()
    };
    let sgd = build(Optimizer::builder(Sgd::new(0.1)));
    let adam = build(Optimizer::builder(Adam::new(0.1)));
    assert!(adam > sgd);
    assert!(build(Optimizer::builder(Adam::new(0.1)).clip(Clip::Value(1.0))) > adam);
    let most = pipelines.len();
    assert_eq!(build(Optimizer::builder(Sgd::new(0.1))), most);
}

#[test]
fn each_device_has_its_own() {
    let pipelines = Pipelines::default();
    on_every_adapter(|gpu| {
        let before = pipelines.len();
        let (_, after) = trained(gpu, &pipelines, 0.5, 3);
        assert!(after > before, "{}", gpu.label());
    });
}

#[test]
#[expect(unsafe_code, reason = "wgpu has no other way to make a pipeline cache")]
fn a_drivers_cache_is_used_for_what_is_made() {
    on_every_adapter(|gpu| {
        if !gpu.adapter.features().contains(wgpu::Features::PIPELINE_CACHE) {
            assert_ne!(gpu.info.backend, wgpu::Backend::Vulkan, "Vulkan has them");
            return;
        }
        let descriptor = wgpu::DeviceDescriptor {
            required_features: wgpu::Features::PIPELINE_CACHE,
            required_limits: gpu.device.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(gpu.adapter.request_device(&descriptor)).unwrap();
        let gpu = Gpu { device, queue, ..gpu.clone() };
        let cache = |data: Option<&[u8]>| {
            let descriptor = wgpu::PipelineCacheDescriptor { label: None, data, fallback: true };
            // SAFETY: the data is what a cache of this device gave.
            unsafe { gpu.device.create_pipeline_cache(&descriptor) }
        };
        let first = cache(None);
        let (weights, made) = trained(&gpu, &Pipelines::with_cache(first.clone()), 0.5, 3);
        let data = first.get_data().expect("Vulkan's caches have data");
        let again = trained(&gpu, &Pipelines::with_cache(cache(Some(&data))), 0.5, 3);
        assert_eq!(again, (weights, made));
        // Of another device: refused in words.
        let stranger = Pipelines::with_cache(first);
        let (device, queue) = pollster::block_on(gpu.adapter.request_device(&descriptor)).unwrap();
        let builder = Optimizer::builder(Adam::new(0.1)).tensor("w", &[5]).pipelines(&stranger);
        let refused = builder.build_blocking(&device, &queue).unwrap_err();
        assert!(matches!(&refused, Error::Device { doing, .. } if doing.contains("pipeline")), "{refused}");
    });
}
