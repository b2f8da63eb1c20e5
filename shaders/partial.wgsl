#if calls_rule
#import rule
#end
// First pass of a reduction: sums of what a measure gives for one span of one tensor (or row) each.
#import parts/control
#import parts/access
#import parts/gradient
#import measure

struct La_Span {
    first: u32,   // the first value in the window
    end: u32,     // one past the last
    partial: u32, // where the sums go
}

@group(3) @binding(0) var<storage, read> la_spans: array<La_Span>;
@group(3) @binding(1) var<storage, read_write> la_partials: array<La_Sum>;

override LA_WORKGROUP: u32;

#if rows
// Rows may be short and many: each thread sums a span.
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
#else
#import parts/reduce

@compute @workgroup_size(LA_WORKGROUP)
fn la_partial(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_spans) {
        return;
    }
    let span = la_spans[at];
    if !la_measures() {
        la_partials[span.partial] = La_Sum();
        return;
    }
    var mine = La_Sum();
    for (var i = span.first / 4u + local; 4u * i < span.end; i += LA_WORKGROUP) {
        let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
        mine += la_measured(i, (vec4u(span.first) <= values) & (values < vec4u(span.end)));
    }
    let sum = la_workgroup_sum(local, mine);
    if local == 0u {
        la_partials[span.partial] = sum;
    }
}
#end
