// First pass of a reduction to rows, which may be short and many: each thread sums what `measure` gives for one
// span of one row.
override WORKGROUP: u32;

struct Span {
    first: u32,   // the first value in the window
    end: u32,     // one past the last
    partial: u32, // where the sums go
}

@group(3) @binding(0) var<storage, read> spans: array<Span>;
@group(3) @binding(1) var<storage, read_write> partials: array<vec2f>;

@compute @workgroup_size(WORKGROUP)
fn partial(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.x + id.y * groups.x * WORKGROUP;
    if at >= arrayLength(&spans) {
        return;
    }
    let span = spans[at];
    var sum = vec2f();
    for (var i = span.first / 4u; 4u * i < span.end; i += 1u) {
        let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
        sum += measured(i, (vec4u(span.first) <= values) & (values < vec4u(span.end)));
    }
    partials[span.partial] = sum;
}
