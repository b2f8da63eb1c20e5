// First pass of a reduction: each workgroup sums what `measure` gives for one span of one tensor.
struct Span {
    first: u32,   // the first value in the window
    end: u32,     // one past the last
    partial: u32, // where the sums go
}

@group(3) @binding(0) var<storage, read> spans: array<Span>;
@group(3) @binding(1) var<storage, read_write> partials: array<vec2f>;

@compute @workgroup_size(WORKGROUP)
fn partial(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&spans) {
        return;
    }
    let span = spans[at];
    if !measures() {
        partials[span.partial] = vec2f();
        return;
    }
    var mine = vec2f();
    for (var i = span.first / 4u + local; 4u * i < span.end; i += WORKGROUP) {
        let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
        mine += measured(i, (vec4u(span.first) <= values) & (values < vec4u(span.end)));
    }
    let sum = workgroup_sum(local, mine);
    if local == 0u {
        partials[span.partial] = sum;
    }
}
