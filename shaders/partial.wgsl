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

#import parts/lanes

// Which of the four values are the span's.
fn la_inside(span: La_Span, i: u32) -> vec4<bool> {
    let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
    return (vec4u(span.first) <= values) & (values < vec4u(span.end));
}

// A row that several threads sum may be short, and so may a tensor: LA_WORKGROUP / LA_LANES spans a workgroup.
@compute @workgroup_size(LA_WORKGROUP)
fn la_partial(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    la_take_window();
    let at = (group.x + group.y * groups.x) * (LA_WORKGROUP / LA_LANES) + local / LA_LANES;
    let is_span = at < arrayLength(&la_spans);
    var span = La_Span();
    if is_span {
        span = la_spans[at];
    }
    var mine = La_Sum();
    if is_span && la_measures() {
        la_enter(span.first / 4u);
        var first = span.first / 4u + local % LA_LANES;
#if plain
        // Plain sums, and only where they leave their range all over again with care.
        var plain = La_Plain();
        for (var i = first; 4u * i < span.end; i += LA_LANES) {
            plain += la_plain(i, la_inside(span, i));
        }
        if la_serves(plain) {
            mine = la_from_plain(plain);
            first = span.end / 4u + 1u;
        }
#end
        for (var i = first; 4u * i < span.end; i += LA_LANES) {
            mine += la_measured(i, la_inside(span, i));
        }
    }
    let sum = la_sum_of_lanes(local, mine);
    if is_span && local % LA_LANES == 0u {
        la_partials[span.partial] = sum;
    }
}
