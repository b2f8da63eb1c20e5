// First pass of Anderson acceleration: the dot products of all residuals over one span of one tensor each, as
// double-floats. A residual is what lies between an iterate and the next, the last of which is the weights.
#import parts/control
#import parts/access
#import parts/iterates
#import parts/double

struct La_Span {
    first: u32,   // the first value in the window
    end: u32,     // one past the last
    partial: u32, // where the sums go
}

@group(3) @binding(0) var<storage, read> la_spans: array<La_Span>;
// Of each span its exponent e, and the products of residuals times 2^-e: r_0 r_0, r_1 r_0, r_1 r_1, r_2 r_0, ...
@group(3) @binding(1) var<storage, read_write> la_partials: array<vec2f>;

override LA_WORKGROUP: u32;

#import parts/double_lanes

const LA_PRODUCTS = LA_COLUMNS * (LA_COLUMNS + 1u) / 2u;

var<private> la_iterates: array<vec4f, LA_COLUMNS + 1u>;
var<private> la_products: array<vec2f, LA_PRODUCTS>;

// What is outside the span does not move.
fn la_load_iterates(i: u32, inside: vec4<bool>) {
    for (var column = 0u; column < LA_COLUMNS; column++) {
        la_iterates[column] = select(vec4f(), la_planes[la_plane(LA_ITERATES_AT + column, i)], inside);
    }
    la_iterates[LA_COLUMNS] = select(vec4f(), la_load_weights(la_locate(i)), inside);
}

// Which of the four values are the span's.
fn la_inside(span: La_Span, i: u32) -> vec4<bool> {
    let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
    return (vec4u(span.first) <= values) & (values < vec4u(span.end));
}

// The bits of the largest magnitude of a residual.
fn la_largest(i: u32, inside: vec4<bool>) -> u32 {
    la_load_iterates(i, inside);
    var most = vec4u();
    for (var column = 0u; column < LA_COLUMNS; column++) {
        let residual = la_iterates[column + 1u] - la_iterates[column];
        most = max(most, bitcast<vec4u>(residual) & vec4u(0x7fffffffu));
    }
    let pairs = max(most.xy, most.zw);
    return max(pairs.x, pairs.y);
}

fn la_add_products(i: u32, inside: vec4<bool>, scale: f32) {
    la_load_iterates(i, inside);
    for (var lane = 0u; lane < 4u; lane++) {
        var residuals: array<vec2f, LA_COLUMNS>;
        var product = 0u;
        for (var row = 0u; row < LA_COLUMNS; row++) {
            let residual = la_exact_sum(la_iterates[row + 1u][lane], -la_iterates[row][lane]);
            residuals[row] = vec2f(la_rounded(scale * residual.x), la_rounded(scale * residual.y));
            for (var column = 0u; column <= row; column++) {
                la_products[product] = la_double_sum(la_products[product], la_double_product(residuals[row], residuals[column]));
                product++;
            }
        }
    }
}

@compute @workgroup_size(LA_WORKGROUP)
fn la_residuals(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    la_take_window();
    la_nothing = control.flags & ${never}u;
    let at = (group.x + group.y * groups.x) * (LA_WORKGROUP / LA_LANES) + local / LA_LANES;
    var span = La_Span();
    let is_span = at < arrayLength(&la_spans);
    if is_span {
        span = la_spans[at];
        la_enter(span.first / 4u);
    }
    // Not at all at a sync that has not all iterates.
    if !la_does(LA_SYNC) || la_does(LA_FIXED) {
        span.end = 0u;
    }
    let first = span.first / 4u + local % LA_LANES;
    var most = 0u;
    for (var i = first; 4u * i < span.end; i += LA_LANES) {
        most = max(most, la_largest(i, la_inside(span, i)));
    }
    // Biased, as f32 has it: 255 for what is not finite. A power of two with the opposite exponent is there up to 253.
    let bits = most >> 23u;
    let exponent = la_most_of_lanes(local, f32(select(bits, 253u, bits == 254u)));
    if exponent > 0.0 && exponent < 255.0 {
        let scale = bitcast<f32>((254u - u32(exponent)) << 23u);
        for (var i = first; 4u * i < span.end; i += LA_LANES) {
            la_add_products(i, la_inside(span, i), scale);
        }
    }
    let to = span.partial * (LA_PRODUCTS + 1u);
    let has_sums = is_span && local % LA_LANES == 0u;
    for (var product = 0u; product < LA_PRODUCTS; product++) {
        let sum = la_sum_of_lanes(local, la_products[product]);
        if has_sums {
            la_partials[to + 1u + product] = sum;
        }
    }
    if has_sums {
        la_partials[to] = vec2f(exponent, 0.0);
    }
}
