use crate::{assert_normal, turn};
use lookahead_test_support::{on_every_adapter, read_slice, submit};
use lookahead_wgpu::{Slice, gpu::Gpu, wgpu};

/// Writes `body` of every counter `(i, first + i/width, 7, 3)`.
fn generate(gpu: &Gpu, body: &str, count: u32, width: u32) -> Vec<f32> {
    let wgsl = format!(
        "{}
        @group(0) @binding(0) var<storage, read_write> out: array<vec4f>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3u) {{
            let counter = vec4u(id.x % {width}u, id.x / {width}u, 7u, 3u);
            out[id.x] = {body};
        }}",
        include_str!("../src/normal.wgsl")
    );
    let device = &gpu.device;
    let source = wgpu::ShaderSource::Wgsl(wgsl.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 16 * u64::from(count),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    });
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
    });
    submit(gpu, |encoder| {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(count / 64, 1, 1);
    });
    read_slice(gpu, &Slice::whole(&buffer))
}

/// The same in Rust.
fn pcg4d(counter: [u32; 4]) -> [u32; 4] {
    let mut v = counter.map(|x| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let mix = |v: &mut [u32; 4]| {
        let old = *v;
        // v.yzxy * v.wxyz
        for (i, (a, b)) in [(1, 3), (2, 0), (0, 1), (1, 2)].into_iter().enumerate() {
            v[i] = old[i].wrapping_add(old[a].wrapping_mul(old[b]));
        }
    };
    mix(&mut v);
    v = v.map(|x| x ^ (x >> 16));
    mix(&mut v);
    v
}

const WIDTH: u32 = 1 << 10;
const COUNT: u32 = 1 << 18;

fn counter(i: u32) -> [u32; 4] {
    [i % WIDTH, i / WIDTH, 7, 3]
}

#[test]
fn every_adapter_draws_the_same_bits_and_the_normals_that_belong_to_them() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        // Halves of the words as numbers: some bit patterns are no floats that a GPU must keep.
        for (body, shift) in
            [("vec4f(pcg4d(counter) & vec4u(0xffffu))", 0), ("vec4f(pcg4d(counter) >> vec4u(16u))", 16)]
        {
            let found = generate(gpu, body, 4096, 64);
            for (i, found) in (0..).zip(found.chunks_exact(4)) {
                let expected = pcg4d([i % 64, i / 64, 7, 3]).map(|word| ((word >> shift) & 0xffff) as f32);
                assert_eq!(found, expected, "counter {i}");
            }
        }
        let found = generate(gpu, "normals(counter)", 4096, 64);
        for (i, found) in (0..).zip(found.chunks_exact(4)) {
            let unit =
                pcg4d([i % 64, i / 64, 7, 3]).map(|word| (f64::from(word >> 8) + 0.5) / f64::from(1 << 24));
            for (half, (radius, angle)) in [(unit[0], unit[2]), (unit[1], unit[3])].into_iter().enumerate() {
                let radius = (-2.0 * radius.ln()).sqrt();
                let angle = std::f64::consts::TAU * (angle - 0.5);
                let expected = [radius * angle.cos(), radius * angle.sin()];
                for (found, expected) in [found[half], found[half + 2]].into_iter().zip(expected) {
                    // WGSL asks of sine and cosine no more than 2^-11.
                    assert!((f64::from(found) - expected).abs() < 3e-3, "{found}, not {expected}");
                }
            }
        }
    });
}

#[test]
fn the_normals_have_the_moments_of_normals_and_do_not_depend_on_each_other() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        let found = generate(gpu, "normals(counter)", COUNT, WIDTH);
        let found: Vec<f64> = found.into_iter().map(f64::from).collect();
        let n = found.len() as f64;
        let mean = |f: &dyn Fn(f64) -> f64| found.iter().map(|x| f(*x)).sum::<f64>() / n;
        // E[x^p] and the variance of x^p: (2p - 1)!! - E[x^p]^2.
        let powers = [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)];
        let mut deviations: Vec<f64> = powers
            .into_iter()
            .map(|(p, expected, variance): (i32, f64, f64)| {
                (mean(&|x| x.powi(p)) - expected) / (variance / n).sqrt()
            })
            .collect();

        // Lags: lanes of a vec4, neighbours in the index, in the step, and across both.
        for lag in [1, 2, 3, 4, 8, 4 * WIDTH as usize, 4 * WIDTH as usize + 4, 8 * WIDTH as usize] {
            let pairs = || found.iter().zip(&found[lag..]);
            let count = (found.len() - lag) as f64;
            let products = pairs().map(|(x, y)| x * y).sum::<f64>();
            let squares = pairs().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)).sum::<f64>();
            let mixed = pairs().map(|(x, y)| x * (y * y - 1.0)).sum::<f64>();
            deviations.extend([
                products / count.sqrt(),
                squares / (4.0 * count).sqrt(),
                mixed / (2.0 * count).sqrt(),
            ]);
        }
        assert_normal("moments and correlations", &deviations, 1.0);

        // Signs of the eight values of neighbouring steps: all 256 patterns are alike frequent.
        let stride = 4 * WIDTH as usize;
        let mut counts = [0_u32; 256];
        for pair in found.chunks_exact(2 * stride) {
            for (x, y) in pair[..stride].chunks_exact(4).zip(pair[stride..].chunks_exact(4)) {
                let pattern = x.iter().chain(y).fold(0, |bits, x| 2 * bits + usize::from(*x > 0.0));
                counts[pattern] += 1;
            }
        }
        let expected = f64::from(COUNT / 2) / 256.0;
        let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // 255 degrees of freedom: a mean of 255 and a standard deviation of 22.6.
        assert!((chi - 255.0).abs() < 5.0 * 22.6, "signs: chi square {chi}");
    });
}

#[test]
fn the_bits_are_uniform() {
    let mut counts = [[0_u32; 256]; 8];
    for i in 0..COUNT {
        let words = pcg4d(counter(i));
        for (lane, word) in words.into_iter().enumerate() {
            counts[lane][(word >> 24) as usize] += 1;
            // The lowest of the 24 bits that are used.
            counts[4 + lane][(word >> 8 & 0xff) as usize] += 1;
        }
    }
    let expected = f64::from(COUNT) / 256.0;
    for (i, counts) in counts.iter().enumerate() {
        let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        assert!((chi - 255.0).abs() < 5.0 * 22.6, "byte {i}: chi square {chi}");
    }
}
