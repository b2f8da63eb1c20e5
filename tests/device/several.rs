//! Tensors in several of the caller's buffers, as many in a dispatch as can be: the bits are those of the optimizer's own.

use crate::common::{buffer, noise, submit};
use lookahead_wgpu::{
    Clip, Field, Half, Lookahead, Optimizer, Options, Rule, Shape, Slice, Snapshot,
    gpu::Gpu,
    rules::{AdaFactor, Adam, Lamb},
    wgpu,
};

on_devices!(buffers_that_tensors_share_and_do_not);

const SHAPES: [(&str, &[usize]); 7] = [
    ("a", &[30, 40]),
    ("b", &[64]),
    ("c", &[8, 128]),
    ("d", &[260]),
    ("e", &[10]),
    ("f", &[5, 7]),
    ("g", &[4000]),
];

/// Buffers by number, and bytes from their start: of weights, and of gradients. Two tensors share a pair of buffers, three a
/// buffer of gradients, one's gradients are behind another's weights; two are not at multiples of 16 bytes.
const PLACES: [[(usize, u64); 2]; 7] = [
    [(0, 0), (1, 0)],
    [(0, 8192), (1, 8192)],
    [(2, 0), (1, 16_384)],
    [(3, 0), (2, 8192)],
    [(4, 4), (5, 8)],
    [(6, 12), (5, 4096)],
    [(7, 0), (8, 0)],
];

type Make = fn() -> Box<dyn Rule>;

const BUFFER: u64 = 32 << 10;

fn run(gpu: &Gpu, rule: Box<dyn Rule>, options: &Options, is_borrowed: bool) -> (Snapshot, usize) {
    let buffers: Vec<_> = (0..9).map(|_| buffer(gpu, BUFFER)).collect();
    let bytes =
        |shape: &[usize], width: u64| (width * shape.iter().product::<usize>() as u64).next_multiple_of(4);
    let width = if options.half_gradients.is_some() { 2 } else { 4 };
    let mut builder = Optimizer::builder(rule).lookahead(Lookahead::new(2, 0.5)).options(options.clone());
    for ((name, shape), [(number, offset), _]) in SHAPES.into_iter().zip(PLACES) {
        builder = match is_borrowed {
            true => builder.borrowed(name, shape, Slice::new(&buffers[number], offset, bytes(shape, 4))),
            false => builder.tensor(name, shape),
        };
    }
    let mut shape = Shape::GPU;
    shape.pairs = 3;
    let builder = builder.shape(shape).pipelines(&gpu.pipelines);
    let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
    let places: Vec<_> = SHAPES
        .into_iter()
        .zip(PLACES)
        .map(|((name, shape), [_, (number, offset)])| {
            (name, Slice::new(&buffers[number], offset, bytes(shape, width)))
        })
        .collect();
    let gradients = is_borrowed.then(|| optimizer.borrow_gradients_blocking(&places).unwrap());
    for ((name, shape), seed) in SHAPES.into_iter().zip(1..) {
        optimizer.upload(name, &noise(shape.iter().product(), seed)).unwrap();
    }
    for step in 0..3 {
        for (((name, shape), (_, place)), seed) in SHAPES.into_iter().zip(&places).zip(10..) {
            let values = noise(shape.iter().product(), 100 * step + seed);
            let slice = if is_borrowed {
                place.clone()
            } else {
                optimizer.buffers(Field::Gradients, name).unwrap().remove(0)
            };
            let bytes = options.half_gradients.map(|half| half.encode(&values));
            let bytes = bytes.as_deref().unwrap_or(bytemuck::cast_slice(&values));
            gpu.queue.write_buffer(&slice.buffer, slice.offset, bytes);
        }
        let step = |encoder: &mut wgpu::CommandEncoder| match &gradients {
            Some(gradients) => optimizer.step_with(encoder, gradients),
            None => optimizer.step(encoder),
        };
        submit(gpu, step).unwrap();
    }
    let dispatches = gradients.map_or(0, |gradients| gradients.dispatches());
    (optimizer.export_blocking().unwrap(), dispatches)
}

async fn buffers_that_tensors_share_and_do_not(gpu: &Gpu) {
    let plain = Options::default();
    let cases: [(Make, Options); 3] = [
        (|| Box::new(Adam::new(0.01)), plain.clone().clip(Clip::GlobalNorm(0.5))),
        (|| Box::new(Lamb::new(0.02)), plain.clone().half_gradients(Some(Half::Bf16)).centralise(true)),
        (|| Box::new(AdaFactor::new(0.05).min_dim_size_to_factor(4)), plain.half_gradients(Some(Half::F16))),
    ];
    for (rule, options) in &cases {
        let (expected, _) = run(gpu, rule(), options, false);
        let (found, dispatches) = run(gpu, rule(), options, true);
        assert!(found == expected, "{options:?}");
        assert!(dispatches < SHAPES.len(), "{dispatches} dispatches");
    }
}
