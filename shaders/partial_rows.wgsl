// First pass of a reduction to rows, which may be short and many: each thread sums what `measure` gives for one
// span of one row.
override LA_WORKGROUP: u32;

struct La_Span {
    first: u32,   // the first value in the window
    end: u32,     // one past the last
    partial: u32, // where the sums go
}

@group(3) @binding(0) var<storage, read> la_spans: array<La_Span>;
@group(3) @binding(1) var<storage, read_write> la_partials: array<La_Sum>;

@compute @workgroup_size(LA_WORKGROUP)
fn la_partial(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.x + id.y * groups.x * LA_WORKGROUP;
    if at >= arrayLength(&la_spans) {
        return;
    }
    let span = la_spans[at];
    var sum = La_Sum();
    for (var i = span.first / 4u; 4u * i < span.end; i += 1u) {
        let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
        sum += la_measured(i, (vec4u(span.first) <= values) & (values < vec4u(span.end)));
    }
    la_partials[span.partial] = sum;
}
