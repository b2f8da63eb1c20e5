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

// What is outside the span does not move. Here and below each column has its own lines: in a loop an array would be indexed
// by a variable, and some drivers then keep it in memory.
fn la_load_iterates(i: u32, inside: vec4<bool>) {
#for column in columns
    la_iterates[${column}u] = select(vec4f(), la_planes[la_plane(LA_ITERATES_AT + ${column}u, i)], inside);
#end
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
#for column in columns
    most = max(most, bitcast<vec4u>(la_iterates[${column}u + 1u] - la_iterates[${column}u]) & vec4u(0x7fffffffu));
#end
    let pairs = max(most.xy, most.zw);
    return max(pairs.x, pairs.y);
}

// A sum with one more product.
fn la_with(sum: vec2f, a: vec2f, b: vec2f) -> vec2f {
    return la_double_sum(sum, la_double_product(a, b));
}

fn la_residual(before: f32, after: f32, scale: f32) -> vec2f {
    let residual = la_exact_sum(after, -before);
    return vec2f(la_rounded(scale * residual.x), la_rounded(scale * residual.y));
}

fn la_add_products(i: u32, inside: vec4<bool>, scale: f32) {
    la_load_iterates(i, inside);
    for (var lane = 0u; lane < 4u; lane++) {
        var residuals: array<vec2f, LA_COLUMNS>;
#for row in columns
        residuals[${row}u] = la_residual(la_iterates[${row}u][lane], la_iterates[${row}u + 1u][lane], scale);
#for column in columns
        if ${column}u <= ${row}u {
            let sum = la_products[${row}u * (${row}u + 1u) / 2u + ${column}u];
            la_products[${row}u * (${row}u + 1u) / 2u + ${column}u] = la_with(sum, residuals[${row}u], residuals[${column}u]);
        }
#end
#end
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
#for product in products
    let sum_${product} = la_sum_of_lanes(local, la_products[${product}u]);
    if has_sums {
        la_partials[to + 1u + ${product}u] = sum_${product};
    }
#end
    if has_sums {
        la_partials[to] = vec2f(exponent, 0.0);
    }
}
