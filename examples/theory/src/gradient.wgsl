// The gradient of the noisy quadratic: a (theta - c) with c ~ N(0, sigma^2) drawn anew at every step, for
// every coordinate and repeat. The repeats of a coordinate lie side by side.

// a and sigma of each coordinate.
@group(0) @binding(1) var<storage, read> coordinates: array<vec2f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= arrayLength(&weights) {
        return;
    }
    let coordinate = coordinates[i / moment.repeats];
    var minimum = vec4f(0.0);
    // Without noise the generator's work is spared.
    if coordinate.y != 0.0 {
        minimum = coordinate.y * normals(vec4u(i, moment.step, moment.seed, moment.run));
    }
    gradients[i] = coordinate.x * (weights[i] - minimum);
}
