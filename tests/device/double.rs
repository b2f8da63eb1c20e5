//! The double-floats of Anderson acceleration by themselves, against f64.

use crate::common::{buffer, read_slice_async, submit};
use lookahead_wgpu::{Slice, gpu::Gpu, wgpu};

on_devices!(sums_products_and_quotients_have_48_bits);

/// Reads pairs of double-floats, and writes the sum, the product and the quotient of each.
const KERNEL: &str = "
@group(0) @binding(0) var<storage, read> pairs: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> found: array<vec2f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    la_nothing = bitcast<u32>(pairs[0].y); // 0
    let at = id.x + 1u;
    if at < arrayLength(&pairs) {
        let pair = pairs[at];
        found[3u * at] = la_double_sum(pair.xy, pair.zw);
        found[3u * at + 1u] = la_double_product(pair.xy, pair.zw);
        found[3u * at + 2u] = la_double_quotient(pair.xy, pair.zw);
    }
}
";

/// Double-floats whose two halves are f32s of all signs, with exponents up to 2^20 apart.
fn numbers(count: usize) -> Vec<[f32; 2]> {
    let noise = crate::common::noise(3 * count, 7);
    let number = |of: &[f32]| {
        let high = of[0] * ((of[2] * 20.0).round()).exp2();
        let low = f64::from(of[1]) * f64::from(high) * 2f64.powi(-24);
        let sum = f64::from(high) + low;
        let high = sum as f32;
        [high, (sum - f64::from(high)) as f32]
    };
    noise.chunks_exact(3).map(number).collect()
}

fn wide([high, low]: [f32; 2]) -> f64 {
    f64::from(high) + f64::from(low)
}

/// What the kernel makes of the pairs.
async fn run(gpu: &Gpu, pairs: &[[[f32; 2]; 2]]) -> Vec<f32> {
    let source = format!("{}{KERNEL}", include_str!("../../shaders/parts/double.wgsl"));
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let (given, found) = (buffer(gpu, 16 * pairs.len() as u64), buffer(gpu, 24 * pairs.len() as u64));
    gpu.queue.write_buffer(&given, 0, bytemuck::cast_slice(pairs));
    let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
    let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[entry(0, given.as_entire_binding()), entry(1, found.as_entire_binding())],
    });
    submit(gpu, |encoder| {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups((pairs.len() as u32).div_ceil(64), 1, 1);
    });
    read_slice_async(gpu, &Slice::new(&found, 0, 24 * pairs.len() as u64)).await
}

async fn sums_products_and_quotients_have_48_bits(gpu: &Gpu) {
    let (a, b) = (numbers(5000), numbers(9000).split_off(4000));
    let mut pairs: Vec<[[f32; 2]; 2]> = a.into_iter().zip(b).map(|(a, b)| [a, b]).collect();
    // Of opposite signs and nearly the same size, too.
    let close: Vec<_> = pairs.iter().map(|[a, _]| [*a, [-a[0], a[1] * 0.75]]).collect();
    pairs.extend(close);
    pairs[0] = [[0.0; 2]; 2];
    let found = run(gpu, &pairs).await;
    let mut worst = [0.0f64; 3];
    for ([a, b], found) in pairs.iter().zip(found.chunks_exact(6)).skip(1) {
        let found: Vec<f64> = found.chunks_exact(2).map(|it| wide([it[0], it[1]])).collect();
        let (a, b) = (wide(*a), wide(*b));
        let errors = [
            (found[0] - (a + b)).abs() / a.abs().max(b.abs()),
            (found[1] / (a * b) - 1.0).abs(),
            (found[2] / (a / b) - 1.0).abs(),
        ];
        worst.iter_mut().zip(errors).for_each(|(worst, error)| *worst = worst.max(error));
    }
    let bounds = [-45, -45, -44].map(|power| 2f64.powi(power));
    assert!(worst.iter().zip(bounds).all(|(worst, bound)| *worst < bound), "{worst:?}, not {bounds:?}");
}
