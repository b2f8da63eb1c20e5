//! A case's optimizer, over buffers of its own or of the caller's.

use lookahead_wgpu::{Gradients, Optimizer, Shape, Slice, wgpu};

use crate::{
    cases::{Case, Home},
    common::noise,
};

/// Builds a case's optimizer, with weights in it, and borrows its gradients where they are not its own.
pub fn build(
    case: &Case,
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    places: &[(Slice, Slice)],
) -> (Optimizer, Option<Gradients>) {
    let tensors = case.tensors();
    let mut builder = case.builder();
    for (index, (name, shape)) in tensors.iter().enumerate() {
        let group = case.group(index);
        builder = match places.get(index) {
            None => builder.tensor_in(group, name, shape),
            Some((weights, _)) => builder.borrowed_in(group, name, shape, weights.clone()),
        };
    }
    // What is recorded on paper is what hardware gets.
    if device.adapter_info().backend == wgpu::Backend::Noop {
        builder = builder.shape(Shape::GPU);
    }
    let optimizer = builder.build_blocking(device, queue);
    let mut optimizer = optimizer.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    for (index, (name, shape)) in tensors.iter().enumerate() {
        optimizer.upload(name, &noise(shape.iter().product(), index as u64)).unwrap();
    }
    let borrowed = (!places.is_empty()).then(|| {
        let slices: Vec<_> =
            tensors.iter().zip(places).map(|((name, _), (_, at))| (name.as_str(), at.clone())).collect();
        optimizer.borrow_gradients_blocking(&slices).unwrap()
    });
    (optimizer, borrowed)
}

/// Where borrowed weights and gradients lie.
pub fn places(case: &Case, device: &wgpu::Device) -> Vec<(Slice, Slice)> {
    if case.home == Home::Owned {
        return vec![];
    }
    let sizes = case.tensors().into_iter().map(|(_, shape)| {
        let len: usize = shape.iter().product();
        let half = case.half_gradients.map_or(len * 4, |_| (len * 2).next_multiple_of(4));
        (4 * len as u64, half as u64)
    });
    let sizes: Vec<_> = sizes.collect();
    let all: u64 = sizes.iter().map(|(weights, _)| *weights).sum();
    let pool = |label, size| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    };
    let one = pool("one", if case.home == Home::Apart { all } else { 2 * all + 8 });
    let other = if case.home == Home::Apart { pool("other", all) } else { one.clone() };
    let mut at = 0;
    let place = |(weights, gradients)| {
        let start = at;
        at += weights;
        let (weights_at, gradients_at) = match case.home {
            Home::Owned | Home::Apart => (start, start),
            Home::Near => (2 * start, 2 * start + weights),
            Home::Far => (start, all + 4 + start),
        };
        (Slice::new(&one, weights_at, weights), Slice::new(&other, gradients_at, gradients))
    };
    sizes.into_iter().map(place).collect()
}
