// Mean and sum of squared deviations of a chunk of the repeats of a coordinate: one workgroup for each
// chunk. Sums of squares alone would cancel where the mean is large. DEPTH, a constant that is put before this, is how
// many vec4s each invocation adds up.

@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> records: array<vec2f>;

var<workgroup> means: array<f32, 64>;
var<workgroup> squares: array<f32, 64>;

// Chan's formula for two halves of `half` values each.
fn joined(a: vec2f, b: vec2f, half: f32) -> vec2f {
    let difference = b.x - a.x;
    return vec2f(a.x + 0.5 * difference, a.y + b.y + 0.5 * half * difference * difference);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = group.y * groups.x + group.x;
    let first = chunk * DEPTH * 64u + lane;
    if chunk * DEPTH * 64u >= arrayLength(&weights) {
        return;
    }
    // Welford's formula, each lane of the vec4s on its own.
    var mean = vec4f(0.0);
    var square = vec4f(0.0);
    for (var i = 0u; i < DEPTH; i++) {
        let value = weights[first + 64u * i];
        let difference = value - mean;
        mean += difference / f32(i + 1u);
        square += difference * (value - mean);
    }
    let depth = f32(DEPTH);
    let left = joined(vec2f(mean.x, square.x), vec2f(mean.y, square.y), depth);
    let right = joined(vec2f(mean.z, square.z), vec2f(mean.w, square.w), depth);
    var total = joined(left, right, 2.0 * depth);
    var count = 4.0 * depth;
    for (var stride = 32u; stride > 0u; stride /= 2u) {
        means[lane] = total.x;
        squares[lane] = total.y;
        workgroupBarrier();
        if lane < stride {
            total = joined(total, vec2f(means[lane + stride], squares[lane + stride]), count);
        }
        count *= 2.0;
        workgroupBarrier();
    }
    if lane == 0u {
        records[moment.record + chunk] = total;
    }
}
