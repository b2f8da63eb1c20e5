//! Devices that offer little: the same model in many buffers and windows trains to the same bits.

use crate::common::{buffer, noise, on_every_adapter, submit};
use lookahead_wgpu::{
    Field, Group, Lookahead, Optimizer, Shape, Slice, Snapshot, StatePolicy, gpu::Gpu, rules::Adam, wgpu,
};

const LENS: [(&str, &str, usize); 6] = [
    ("default", "a", 5000),
    ("default", "b", 3001),
    ("other", "c", 1),
    ("other", "d", 4096),
    ("default", "e", 20_001),
    ("other", "f", 77),
];

const KIB: u64 = 1024;

/// A device whose bindings end at `binding` bytes.
fn small(gpu: &Gpu, buffer: u64, binding: u64, workgroups: u32) -> Gpu {
    let limits = wgpu::Limits {
        max_buffer_size: buffer,
        max_storage_buffer_binding_size: binding,
        max_compute_workgroups_per_dimension: workgroups,
        ..gpu.device.limits()
    };
    pollster::block_on(Gpu::with_limits(&gpu.adapter, limits)).unwrap()
}

/// `unit`: what borrowed tensors start at multiples of, in bytes.
fn trained(gpu: &Gpu, home: Home, unit: u64) -> (Snapshot, usize) {
    let mut builder = Optimizer::builder(Adam::new(0.01))
        .lookahead(Lookahead::new(2, 0.5).policy(StatePolicy::Interpolate))
        .group(Group::new("other").learning_rate_factor(0.5));
    let places = home.places(gpu, unit);
    for (index, (group, name, len)) in LENS.into_iter().enumerate() {
        builder = match places.get(index) {
            None => builder.tensor_in(group, name, &[len]),
            Some((weights, _)) => builder.borrowed_in(group, name, &[len], weights.clone()),
        };
    }
    if let Home::Apart = home {
        builder = builder.shape(Shape::GPU);
    }
    let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
    let mut dispatches = optimizer.dispatches();
    for (_, name, len) in LENS {
        optimizer.upload(name, &noise(len, 1)).unwrap();
    }
    for step in 0..5 {
        for (index, (_, name, len)) in LENS.into_iter().enumerate() {
            let slices = match places.get(index) {
                None => optimizer.buffers(Field::Gradients, name).unwrap(),
                Some((_, gradients)) => vec![gradients.clone()],
            };
            let values = noise(len, 10 + step);
            let mut rest = values.as_slice();
            for slice in slices {
                let (head, tail) = rest.split_at((slice.size / 4) as usize);
                gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(head));
                rest = tail;
            }
        }
        if places.is_empty() {
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        } else {
            let slices: Vec<_> =
                LENS.iter().zip(&places).map(|((_, name, _), (_, place))| (*name, place.clone())).collect();
            let gradients = optimizer.borrow_gradients_blocking(&slices).unwrap();
            dispatches = gradients.dispatches();
            submit(gpu, |encoder| optimizer.step_with(encoder, &gradients)).unwrap();
        }
    }
    (optimizer.export_blocking().unwrap(), dispatches)
}

#[derive(Debug, Clone, Copy)]
enum Home {
    Owned,
    /// One buffer: weights and gradients in turn.
    Near,
    /// One buffer: all weights, then all gradients.
    Far,
    /// One buffer of weights, and one of gradients in the opposite order.
    Crossed,
    /// A buffer for each tensor's weights, and one for its gradients.
    Apart,
}

impl Home {
    /// Each place starts at a multiple of `unit` bytes.
    fn places(self, gpu: &Gpu, unit: u64) -> Vec<(Slice, Slice)> {
        if let Self::Owned = self {
            return vec![];
        }
        let total: u64 = LENS.iter().map(|(.., len)| (4 * *len as u64).next_multiple_of(unit)).sum();
        let (one, two) = (buffer(gpu, 2 * total + unit), buffer(gpu, total));
        let mut at = 0;
        LENS.iter()
            .map(|(.., len)| {
                let size = 4 * *len as u64;
                let room = size.next_multiple_of(unit);
                let places = match self {
                    Self::Apart => {
                        let start = unit % 16;
                        let slice =
                            || Slice::new(&buffer(gpu, start + size.next_multiple_of(16)), start, size);
                        (slice(), slice())
                    }
                    Self::Near => (Slice::new(&one, 2 * at, size), Slice::new(&one, 2 * at + room, size)),
                    Self::Crossed => (Slice::new(&one, at, size), Slice::new(&two, total - at - room, size)),
                    Self::Owned | Self::Far => {
                        (Slice::new(&one, at, size), Slice::new(&one, total + unit + at, size))
                    }
                };
                at += room;
                places
            })
            .collect()
    }
}

#[test]
fn windows_and_chunks_do_not_change_a_bit() {
    on_every_adapter(|gpu| {
        let (expected, dispatches) = trained(gpu, Home::Owned, 4);
        assert_eq!(dispatches, 2, "one a group");
        for (buffer, binding, workgroups) in
            [(64 * KIB, 16 * KIB, 65_535), (16 * KIB, 64 * KIB, 65_535), (256 * KIB, 256 * KIB, 64)]
        {
            let small = small(gpu, buffer, binding, workgroups);
            let (found, dispatches) = trained(&small, Home::Owned, 4);
            // Fewer workgroups a dispatch than the model has only below 64 * 256 * 4 values.
            assert!(dispatches > 2 || workgroups == 64, "{dispatches} dispatches");
            assert_eq!(found, expected, "{buffer} B buffers, {binding} B bindings, {workgroups} workgroups");
        }
    });
}

#[test]
fn borrowed_pools_may_be_larger_than_a_binding() {
    on_every_adapter(|gpu| {
        let (expected, _) = trained(gpu, Home::Owned, 4);
        let small = small(gpu, 1024 * KIB, 16 * KIB, 65_535);
        for (home, unit) in
            [Home::Near, Home::Far, Home::Crossed].map(|home| [(home, 4), (home, 16)]).concat()
        {
            assert_eq!(trained(&small, home, unit).0, expected, "{home:?} by {unit} bytes, small bindings");
            assert_eq!(trained(gpu, home, unit).0, expected, "{home:?} by {unit} bytes");
        }
    });
}

#[test]
fn a_dispatch_takes_as_many_pairs_of_buffers_as_can_be_bound() {
    on_every_adapter(|gpu| {
        let (expected, _) = trained(gpu, Home::Owned, 4);
        // Planes, slow weights and a table are bound besides; each of two groups has three tensors.
        for (storage_buffers, due) in [(6, 6), (7, 4), (8, 4), (9, 2), (16, 2)] {
            let limits = gpu.device.limits();
            if limits.max_storage_buffers_per_shader_stage < storage_buffers {
                continue;
            }
            let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: storage_buffers, ..limits };
            let small = pollster::block_on(Gpu::with_limits(&gpu.adapter, limits)).unwrap();
            for unit in [4, 16] {
                let (found, dispatches) = trained(&small, Home::Apart, unit);
                assert_eq!(found, expected, "by {unit} bytes, {storage_buffers} storage buffers");
                assert_eq!(dispatches, due, "{storage_buffers} storage buffers");
            }
        }
    });
}
