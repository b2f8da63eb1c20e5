// Second pass of a norm: each workgroup adds the partial sums of one range (one tensor's, or all) and
// turns the norm into the factor that clips it, as torch.nn.utils.clip_grad_norm_.
struct Range {
    first: u32,
    count: u32,
}

struct Bound {
    max_norm: f32,
}

@group(0) @binding(0) var<storage, read> ranges: array<Range>;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> scales: array<f32>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;
@group(0) @binding(4) var<uniform> bound: Bound;

@compute @workgroup_size(WORKGROUP)
fn finish(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    var mine = 0.0;
    if at < arrayLength(&ranges) {
        let range = ranges[at];
        for (var j = local; j < range.count; j += WORKGROUP) {
            mine += partials[range.first + j];
        }
    }
    let norm = sqrt(workgroup_sum(local, mine));
    if local == 0u && at < arrayLength(&ranges) {
        norms[at] = norm;
        scales[at] = min(1.0, bound.max_norm / (norm + 1e-6));
    }
}
