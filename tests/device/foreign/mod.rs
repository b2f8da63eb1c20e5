//! The engine for devices of other languages, on one that is wgpu's: the same bits as the engine on wgpu.

mod device;

use device::{Encoder, Numbered};
use lookahead_wgpu::{
    AdaptiveAlpha, Average, Builder, Clip, DEFAULT_GROUP, Error, Field, Guard, Half, ImportOptions,
    Lookahead, LossScale, Optimizer, Options, Rule, Shape, StatePolicy,
    foreign::{Foreign, Slice},
    gpu::Gpu,
    outer::Nesterov,
    rules::{AdaFactor, Adam, Lamb, Ranger, Sgd},
    wgpu,
};

use crate::common::{noise, on_every_adapter};

type Ours = Optimizer<Foreign<Numbered>>;

const SHAPES: [(&str, &[usize]); 3] = [("w", &[9, 7]), ("v", &[3, 4, 5]), ("b", &[5])];

/// A rule with options around it, over tensors that begin at noise.
fn builder<E: lookahead_wgpu::Engine>(rule: Box<dyn Rule>, options: &Options) -> Builder<E> {
    let lookahead = Lookahead::new(3, 0.5).policy(StatePolicy::Interpolate);
    let builder = Builder::new(rule).lookahead(lookahead).options(options.clone());
    SHAPES.iter().fold(builder, |builder, (name, shape)| builder.tensor(name, shape))
}

fn built(gpu: &Gpu, rule: Box<dyn Rule>, options: &Options) -> (Numbered, Ours) {
    let device = Numbered::new(gpu);
    let (shape, limits) = (Shape::from(&gpu.info), device.limits());
    let build = builder(rule, options).build_on_device(device.clone(), shape, &limits);
    (device.clone(), pollster::block_on(build).unwrap())
}

/// The gradient of a tensor at a step, with something that is not finite at one.
fn gradient(name: &str, step: usize, guarded: bool) -> Vec<f32> {
    let (index, (_, shape)) = SHAPES.iter().enumerate().find(|(_, (other, _))| *other == name).unwrap();
    let mut values = noise(shape.iter().product(), (1 + index + 10 * step) as u64);
    if guarded && step == 4 {
        values[1] = f32::NAN;
    }
    values
}

/// Everything that is kept after some steps, as bytes of a file; a step goes into an encoder of the caller's or not.
fn trained<E: lookahead_wgpu::Engine>(
    optimizer: &mut Optimizer<E>,
    options: &Options,
    mut encoder: impl FnMut(usize) -> E::Encoder,
    mut write: impl FnMut(&Optimizer<E>, &str, &[u8]),
    mut submit: impl FnMut(E::Encoder),
) -> Vec<u8> {
    for (index, (name, shape)) in SHAPES.iter().enumerate() {
        optimizer.upload(name, &noise(shape.iter().product(), index as u64)).unwrap();
    }
    for step in 0..11 {
        for (name, _) in SHAPES {
            let values = gradient(name, step, options.guard.is_some());
            let bytes = options
                .half_gradients
                .map_or_else(|| bytemuck::cast_slice(&values).to_vec(), |half| half.encode(&values));
            write(optimizer, name, &bytes);
        }
        let mut recorded = encoder(step);
        if step == 6 {
            optimizer.set_learning_rate(DEFAULT_GROUP, 0.02).unwrap();
            optimizer.set_schedule(lookahead_wgpu::Schedule::cosine(2, 20, 0.1)).unwrap();
        }
        optimizer.step(&mut recorded).unwrap();
        submit(recorded);
    }
    pollster::block_on(optimizer.export()).unwrap().to_bytes().unwrap()
}

fn cases() -> Vec<(Box<dyn Rule>, Options)> {
    let options = Options::default;
    vec![
        (Box::new(Adam::new(0.05)), options()),
        (Box::new(Sgd::new(0.05).momentum(0.9)), options().clip(Clip::GlobalNorm(1.0))),
        (Box::new(Lamb::new(0.05)), options().average(Some(Average::Ema { decay: 0.9 }))),
        (Box::new(AdaFactor::new(0.05)), options().guard(Some(Guard::default()))),
        (Box::new(Ranger::new(0.05)), options().half_weights(Some(Half::F16)).slow_bf16(true)),
        (
            Box::new(Adam::new(0.05)),
            options()
                .guard(Some(Guard::loss_scale(LossScale::default())))
                .half_gradients(Some(Half::Bf16))
                .outer(std::sync::Arc::new(Nesterov { momentum: 0.5 })),
        ),
        (Box::new(Adam::new(0.05)), options().adaptive(Some(AdaptiveAlpha::new(0.2)))),
    ]
}

// Fault: a dispatch's groups are bound in another order; a slot's offset is that of the step before.
#[test]
fn its_bits_are_those_of_the_engine_on_wgpu() {
    on_every_adapter(|gpu| {
        for (index, (rule, options)) in cases().into_iter().enumerate() {
            let again = cases().swap_remove(index).0;
            let (device, mut ours) = built(gpu, rule, &options);
            let write = |optimizer: &Ours, name: &str, bytes: &[u8]| {
                let slice = optimizer.gradients(name).unwrap();
                lookahead_wgpu::foreign::Device::write(&device, slice.buffer.number, slice.offset, bytes)
                    .unwrap();
            };
            // Every second step is the caller's to submit.
            let encoder = |step: usize| device.encoder(step.is_multiple_of(2));
            let found = trained(&mut ours, &options, encoder, write, |encoder| device.submit(encoder));
            let builder = builder(again, &options).pipelines(&gpu.pipelines);
            let mut theirs = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
            let write = |optimizer: &Optimizer, name: &str, bytes: &[u8]| {
                let slice = optimizer.gradients(name).unwrap();
                gpu.queue.write_buffer(&slice.buffer, slice.offset, bytes);
            };
            let encoder = |_| gpu.device.create_command_encoder(&Default::default());
            let submit = |encoder: wgpu::CommandEncoder| _ = gpu.queue.submit([encoder.finish()]);
            let expected = trained(&mut theirs, &options, encoder, write, submit);
            assert!(found == expected, "case {index} on {}", gpu.label());
            let snapshot = lookahead_wgpu::Snapshot::from_bytes(&expected).unwrap();
            ours.import_with(&snapshot, ImportOptions::new()).unwrap();
            let back = pollster::block_on(ours.export()).unwrap().to_bytes().unwrap();
            assert!(back == expected, "case {index}: what is imported comes back");
        }
    });
}

#[test]
fn chunks_of_the_ring_are_used_again_unless_they_are_in_the_callers_encoders() {
    let gpu = crate::common::gpu();
    let (device, mut optimizer) = built(gpu, Box::new(Adam::new(0.1)), &Options::default());
    let steps = |optimizer: &mut Ours, is_own: bool| {
        for _ in 0..2000 {
            let mut encoder: Encoder = device.encoder(is_own);
            optimizer.step(&mut encoder).unwrap();
            device.submit(encoder);
        }
        device.held()
    };
    let held = device.held();
    assert_eq!(steps(&mut optimizer, true), held);
    // Those of the caller's are let go: the device keeps them as long as they are needed.
    assert_eq!(steps(&mut optimizer, false), held);
}

/// Weights at these offsets of a pool, and gradients at others.
fn slices(device: &Numbered, pool: &wgpu::Buffer, offsets: [u64; 3]) -> Vec<(&'static str, Slice)> {
    let buffer = device.adopt(pool);
    let slice = |((name, shape), offset): (&(&'static str, &[usize]), u64)| {
        (*name, Slice::new(&buffer, offset, 4 * shape.iter().product::<usize>() as u64))
    };
    SHAPES.iter().zip(offsets).map(slice).collect()
}

// Fault: the dispatches go on over the place where the weights were.
#[test]
fn weights_may_lie_elsewhere_from_a_step_on() {
    on_every_adapter(|gpu| {
        let device = Numbered::new(gpu);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let pool = || {
            let descriptor =
                wgpu::BufferDescriptor { label: None, size: 4096, usage, mapped_at_creation: false };
            gpu.device.create_buffer(&descriptor)
        };
        let [first, second, gradients] = [pool(), pool(), pool()];
        let places = [slices(&device, &first, [4, 1024, 2048]), slices(&device, &second, [2048, 512, 12])];
        let placed = slices(&device, &gradients, [0, 1000, 2000]);
        let limits = device.limits();
        let mut builder = Builder::<Foreign<Numbered>>::new(Adam::new(0.1)).lookahead(Lookahead::new(3, 0.5));
        for ((name, shape), (_, slice)) in SHAPES.iter().zip(&places[0]) {
            builder = builder.borrowed(name, shape, slice.clone());
        }
        let mut optimizer =
            builder.build_on_device_at_once(device.clone(), Shape::from(&gpu.info), &limits).unwrap();
        let mut reference = on_wgpu(gpu);
        for (index, (name, shape)) in SHAPES.iter().enumerate() {
            let values = noise(shape.iter().product(), index as u64);
            optimizer.upload(name, &values).unwrap();
            reference.upload(name, &values).unwrap();
        }
        let mut borrowed = optimizer.borrow_gradients_at_once(&placed).unwrap();
        for step in 0..8 {
            if step == 4 {
                let mut encoder = gpu.device.create_command_encoder(&Default::default());
                for ((_, from), (_, to)) in places[0].iter().zip(&places[1]) {
                    encoder.copy_buffer_to_buffer(&first, from.offset, &second, to.offset, from.size);
                }
                gpu.queue.submit([encoder.finish()]);
                let lacking = &places[1][..2];
                let error = optimizer.borrow_weights_at_once(lacking).unwrap_err();
                assert!(matches!(error, Error::UnknownName { .. }), "{error}");
                optimizer.borrow_weights_at_once(&places[1]).unwrap();
                let error = optimizer.step_with(&mut device.encoder(true), &borrowed).unwrap_err();
                assert!(error.to_string().contains("before its weights lay elsewhere"), "{error}");
                borrowed = optimizer.borrow_gradients_at_once(&placed).unwrap();
            }
            for (name, slice) in &placed {
                let values = gradient(name, step, false);
                gpu.queue.write_buffer(&gradients, slice.offset, bytemuck::cast_slice(&values));
                let own = reference.gradients(name).unwrap();
                gpu.queue.write_buffer(&own.buffer, own.offset, bytemuck::cast_slice(&values));
            }
            let mut encoder = device.encoder(true);
            // The slow weights follow those at the new place.
            if step == 6 {
                optimizer.init_synced(&mut encoder).unwrap();
            }
            optimizer.step_with(&mut encoder, &borrowed).unwrap();
            device.submit(encoder);
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            if step == 6 {
                reference.init_synced(&mut encoder).unwrap();
            }
            reference.step(&mut encoder).unwrap();
            gpu.queue.submit([encoder.finish()]);
        }
        for (name, _) in SHAPES {
            for field in [Field::Weights, Field::SlowWeights] {
                let found = pollster::block_on(optimizer.download(field, name)).unwrap();
                assert_eq!(found, reference.download_blocking(field, name).unwrap(), "{name}");
            }
        }
    });
}

/// Lookahead(Adam) over tensors of its own, on wgpu.
fn on_wgpu(gpu: &Gpu) -> Optimizer {
    let builder = Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(3, 0.5));
    let builder = SHAPES.iter().fold(builder, |builder, (name, shape)| builder.tensor(name, shape));
    builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap()
}
