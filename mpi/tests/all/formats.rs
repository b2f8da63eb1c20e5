//! The formats of what is sent: packed on the GPU as on the host, within their bounds, and int8 without a drift.

use lookahead_mpi::{Mode, Packing, Wire, Workers, mpi::traits::Communicator};
use lookahead_wgpu::{
    Field, Half, Lookahead, Optimizer,
    outer::Nesterov,
    rules::{Adam, Sgd},
};

use crate::{
    launch::on_ranks,
    model::{bits, build, encoder, gpu, largest_difference, noise, read, scripted, step, widened},
};

// Faults: a rounding of the kernel's own, a block that is another's.
#[test]
fn the_gpu_packs_the_same_bits_as_the_host() {
    on_ranks(2, "formats::the_gpu_packs_the_same_bits_as_the_host", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for wire in Wire::ALL {
            for mode in [Mode::Local, Mode::Gradients] {
                let builder = || {
                    let builder = Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(2, 0.5));
                    builder.outer(Nesterov::default())
                };
                let mut optimizers = [build(&gpu, builder()), build(&gpu, builder())];
                let mut workers = Vec::new();
                for (optimizer, packing) in optimizers.iter_mut().zip([Packing::Host, Packing::Device]) {
                    let it = Workers::builder(world.duplicate()).mode(mode).wire(wire).packing(packing);
                    let it = it.verify(false).build(optimizer, &gpu.device, &gpu.queue).unwrap();
                    assert_eq!(it.packing(), packing);
                    workers.push(it);
                }
                for at in 0..8 {
                    let reports: Vec<_> = workers
                        .iter_mut()
                        .zip(&mut optimizers)
                        .map(|(workers, optimizer)| step(&gpu, workers, optimizer, &many_sizes(rank, at)))
                        .collect();
                    let hash = |at: usize| reports[at].as_ref().map(|report| (report.hash, report.bytes));
                    assert_eq!(hash(0), hash(1), "{wire:?}, {mode:?}, step {at}");
                }
                assert_eq!(bits(&optimizers[0]), bits(&optimizers[1]), "{wire:?}, {mode:?}");
                for (workers, optimizer) in workers.iter().zip(&optimizers) {
                    workers.check(optimizer).unwrap();
                }
            }
        }
    });
}

/// Gradients of many sizes, from 2^-30 to 2^10.
fn many_sizes(rank: usize, at: u64) -> Vec<Vec<f32>> {
    let mut gradients = scripted(rank, at);
    for (index, value) in gradients.iter_mut().flatten().enumerate() {
        *value *= 2.0f32.powi((index * 7 + at as usize) as i32 % 41 - 30);
    }
    gradients
}

/// The slow weights after one round from equal weights, with alpha 1: the mean of the fast ones.
fn mean_by(world: &impl Communicator, wire: Wire) -> Vec<Vec<f32>> {
    let (gpu, rank) = (gpu(), world.rank() as usize);
    let mut optimizer = build(&gpu, Optimizer::builder(Sgd::new(0.01)).lookahead(Lookahead::new(1, 1.0)));
    let workers = Workers::builder(world.duplicate()).wire(wire);
    let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
    step(&gpu, &mut workers, &mut optimizer, &scripted(rank, 0)).unwrap();
    read(&optimizer, Field::SlowWeights)
}

#[test]
fn a_round_is_within_the_formats_bounds() {
    on_ranks(4, "formats::a_round_is_within_the_formats_bounds", |world| {
        let exact = widened(&mean_by(&world, Wire::F32));
        // Differences of 0.01 at most; each is rounded once by its rank and once as a mean, and the sum with weights of
        // 1 at most once more.
        for (wire, bound) in [(Wire::Bf16, 8e-5), (Wire::F16, 1e-5), (Wire::Int8, 1.6e-4)] {
            let difference = largest_difference(&mean_by(&world, wire), &exact);
            assert!(difference > 0.0 && difference < bound, "{wire:?}: {difference}");
        }
    });
}

// Fault: what is lost is not kept. Small gradients beside large ones then never arrive.
#[test]
fn int8_does_not_drift() {
    on_ranks(2, "formats::int8_does_not_drift", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for packing in [Packing::Host, Packing::Device] {
            let mut optimizer = build(&gpu, Optimizer::builder(Sgd::new(1.0)));
            let first = widened(&read(&optimizer, Field::Weights));
            let workers = Workers::builder(world.duplicate()).mode(Mode::Gradients).wire(Wire::Int8);
            let mut workers =
                workers.packing(packing).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            // In each block one value of 1, and others of which 127 would be too coarse a scale: 1/512 of it is less than
            // half a step.
            let small = |index: usize| if index % 128 == 5 { 1.0 } else { 1.0 / 512.0 };
            let gradients: Vec<Vec<f32>> = scripted(rank, 0)
                .iter()
                .map(|tensor| (0..tensor.len()).map(|index| small(index) * (1.0 + rank as f32)).collect())
                .collect();
            let steps = 100;
            for _ in 0..steps {
                step(&gpu, &mut workers, &mut optimizer, &gradients).unwrap();
            }
            let expected: Vec<Vec<f64>> = first
                .iter()
                .map(|tensor| {
                    let moved = |(index, value): (usize, &f64)| {
                        value - f64::from(steps) * 1.5 * f64::from(small(index))
                    };
                    tensor.iter().enumerate().map(moved).collect()
                })
                .collect();
            // Two roundings of half a step, 2/127 and 1.5/127, whatever the number of steps; without feedback 0.3.
            let difference = largest_difference(&read(&optimizer, Field::Weights), &expected);
            assert!(difference < 0.03, "{packing:?}: {difference}");
        }
    });
}

// Fault: an empty buffer, which Open MPI takes for `MPI_IN_PLACE`.
#[test]
fn there_may_be_more_ranks_than_blocks() {
    on_ranks(4, "formats::there_may_be_more_ranks_than_blocks", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for wire in Wire::ALL {
            let builder =
                Optimizer::builder(Sgd::new(1.0)).lookahead(Lookahead::new(1, 1.0)).tensor("w", &[3]);
            let builder = builder.pipelines(&gpu.pipelines);
            let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
            let workers = Workers::builder(world.duplicate()).wire(wire);
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            let slice = optimizer.gradients("w").unwrap();
            let gradient = [rank as f32, -1.0, 0.0];
            gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&gradient));
            workers.step(&mut optimizer, encoder(&gpu)).unwrap().unwrap();
            let expected = vec![-1.5, 1.0, 0.0];
            assert!(largest_difference(&read(&optimizer, Field::Weights), &[expected]) < 0.03, "{wire:?}");
        }
    });
}

#[test]
fn what_the_gpu_cannot_pack_is_packed_on_the_host() {
    on_ranks(2, "formats::what_the_gpu_cannot_pack_is_packed_on_the_host", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let builder = Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(2, 0.5));
        let mut optimizer = build(&gpu, builder.slow_bf16().half_weights(Half::Bf16));
        let workers = Workers::builder(world).wire(Wire::F16);
        let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        assert_eq!(workers.packing(), Packing::Host);
        for at in 0..6 {
            step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at));
        }
        assert_eq!(workers.rounds(), 3);
    });
}

#[test]
fn borrowed_weights_are_exchanged_where_they_lie() {
    on_ranks(2, "formats::borrowed_weights_are_exchanged_where_they_lie", |world| {
        use lookahead_wgpu::{Slice, wgpu};
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let buffer = || {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 4 * 300,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let (weights, gradient) = (buffer(), buffer());
        gpu.queue.write_buffer(&weights, 0, bytemuck::cast_slice(&noise(300, 5)));
        gpu.queue.write_buffer(&gradient, 0, bytemuck::cast_slice(&noise(300, 50 + rank as u64)));
        let mut optimizer = Optimizer::builder(Sgd::new(0.1))
            .lookahead(Lookahead::new(1, 1.0))
            .borrowed("w", &[300], Slice::whole(&weights))
            .build_blocking(&gpu.device, &gpu.queue)
            .unwrap();
        let gradients = optimizer.borrow_gradients_blocking(&[("w", Slice::whole(&gradient))]).unwrap();
        let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        let mut encoder = encoder(&gpu);
        optimizer.step_with(&mut encoder, &gradients).unwrap();
        gpu.queue.submit([encoder.finish()]);
        assert!(workers.stepped(&mut optimizer).unwrap().is_some());
        let mean = noise(300, 50).into_iter().zip(noise(300, 51)).map(|(a, b)| f64::from(a + b) / 2.0);
        let expected = noise(300, 5).into_iter().zip(mean).map(|(w, g)| f64::from(w) - 0.1 * g).collect();
        assert!(largest_difference(&read(&optimizer, Field::Weights), &[expected]) < 1e-6);
    });
}
