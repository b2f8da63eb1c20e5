// First pass of a norm: each workgroup sums the squares of one span of one tensor's gradient.
struct Span {
    first: u32,   // the first vec4 in the window
    values: u32,  // how many values
    partial: u32, // where the sum goes
}

@group(0) @binding(0) var<storage, read> spans: array<Span>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn partial(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    var squares = vec4f();
    if at < arrayLength(&spans) {
        let span = spans[at];
        for (var j = local; 4u * j < span.values; j += WORKGROUP) {
            let inside = vec4u(4u * j) + vec4u(0u, 1u, 2u, 3u) < vec4u(span.values);
            let g = select(vec4f(), load_gradient(locate(span.first + j)), inside);
            squares += g * g;
        }
    }
    let sum = workgroup_sum(local, squares.x + squares.y + squares.z + squares.w);
    if local == 0u && at < arrayLength(&spans) {
        partials[spans[at].partial] = sum;
    }
}
