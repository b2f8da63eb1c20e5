// solved for 3 columns
// Second pass of Anderson acceleration: adds up the products of residuals over a range (a tensor's, a group's or all)
// and solves for the coefficients c, in double-floats:
//
//     (R'R + lambda trace(R'R) I) z = 1,   c = z / sum(z)

// Double-floats: a number as the sum of two f32s that do not overlap, the larger one first, which has 48 bits.
//
// Dekker ("A floating-point technique for extending the available precision", 1971) and Knuth find what an addition or a
// multiplication lost by more of them. WGSL lets a compiler fuse and reorder these as if nothing were lost: so each
// result goes through its bits and a word that is 0 at run time, which no compiler knows, and fma, which may be a
// multiplication and an addition, is not used. What lies below 2^-126 counts as zero.
var<private> la_nothing: u32;

// x, as it was rounded.
fn la_rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ la_nothing);
}

// a + b, exactly.
fn la_exact_sum(a: f32, b: f32) -> vec2f {
    let sum = la_rounded(a + b);
    let of_b = la_rounded(sum - a);
    let of_a = la_rounded(sum - of_b);
    return vec2f(sum, la_rounded(la_rounded(a - of_a) + la_rounded(b - of_b)));
}

// The same where a is not the smaller one.
fn la_exact_sum_in_order(a: f32, b: f32) -> vec2f {
    let sum = la_rounded(a + b);
    return vec2f(sum, la_rounded(b - la_rounded(sum - a)));
}

// The first twelve bits of x, and the other twelve: products of two such halves are exact.
fn la_halves(x: f32) -> vec2f {
    let first = bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
    return vec2f(first, la_rounded(x - first));
}

// a * b, exactly.
fn la_exact_product(a: f32, b: f32) -> vec2f {
    let product = la_rounded(a * b);
    let x = la_halves(a);
    let y = la_halves(b);
    var lost = la_rounded(product - la_rounded(x.x * y.x));
    lost = la_rounded(lost - la_rounded(x.y * y.x));
    lost = la_rounded(lost - la_rounded(x.x * y.y));
    return vec2f(product, la_rounded(la_rounded(x.y * y.y) - lost));
}

// a + b, to about 2^-46 of the larger one.
fn la_double_sum(a: vec2f, b: vec2f) -> vec2f {
    let sum = la_exact_sum(a.x, b.x);
    return la_exact_sum_in_order(sum.x, la_rounded(sum.y + la_rounded(a.y + b.y)));
}

// a * b, to about 2^-45 of it.
fn la_double_product(a: vec2f, b: vec2f) -> vec2f {
    let product = la_exact_product(a.x, b.x);
    let cross = la_rounded(la_rounded(a.x * b.y) + la_rounded(a.y * b.x));
    return la_exact_sum_in_order(product.x, la_rounded(product.y + cross));
}

// a / b, to about 2^-45 of it: two steps of Newton's from f32's quotient, which may be off by 2.5 ulp.
fn la_double_quotient(a: vec2f, b: vec2f) -> vec2f {
    let first = vec2f(la_rounded(a.x / b.x), 0.0);
    var rest = la_double_sum(a, -la_double_product(first, b));
    let second = vec2f(la_rounded(rest.x / b.x), 0.0);
    rest = la_double_sum(rest, -la_double_product(second, b));
    return la_double_sum(la_double_sum(first, second), vec2f(la_rounded(rest.x / b.x), 0.0));
}

struct La_Range {
    first: u32,
    count: u32,
    lambda: vec2f,
}

@group(0) @binding(0) var<storage, read> la_ranges: array<La_Range>;
@group(0) @binding(1) var<storage, read> la_partials: array<vec2f>; // as the first pass leaves them
@group(0) @binding(2) var<storage, read_write> la_factors: array<f32>;
@group(0) @binding(3) var<storage, read_write> la_results: array<f32>;
@group(0) @binding(4) var<uniform> la_place: vec4u; // x: where the first range's coefficients go; w: 0

override LA_WORKGROUP: u32;

// What LA_LANES neighbours have between them. All are to be called in uniform control flow.
const LA_LANES = 256u;

var<workgroup> la_shared: array<vec2f, LA_WORKGROUP>;

// The sum, in a fixed order; the first of them has it.
fn la_sum_of_lanes(local: u32, value: vec2f) -> vec2f {
    workgroupBarrier(); // what was shared before has been read
    la_shared[local] = value;
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_shared[local] = la_double_sum(la_shared[local], la_shared[local + half]);
        }
    }
    return la_shared[local];
}

// The largest, which all of them have.
fn la_most_of_lanes(local: u32, value: f32) -> f32 {
    workgroupBarrier();
    la_shared[local] = vec2f(value);
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_shared[local] = max(la_shared[local], la_shared[local + half]);
        }
    }
    workgroupBarrier();
    return la_shared[local - local % LA_LANES].x;
}

const LA_COLUMNS = 3u;
const LA_PRODUCTS = LA_COLUMNS * (LA_COLUMNS + 1u) / 2u;

// R'R below its diagonal and on it, row by row; then L and D of its factors, L D L' = R'R + lambda trace(R'R) I.
var<private> la_products: array<vec2f, LA_PRODUCTS>;
var<private> la_found: array<vec2f, LA_COLUMNS>;

fn la_entry(row: u32, column: u32) -> u32 {
    return row * (row + 1u) / 2u + column;
}

fn la_is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// Whether all pivots are above zero.
fn la_factorise(lambda: vec2f) -> bool {
    var trace = vec2f();
    for (var row = 0u; row < LA_COLUMNS; row++) {
        trace = la_double_sum(trace, la_products[la_entry(row, row)]);
    }
    let ridge = la_double_product(lambda, trace);
    for (var column = 0u; column < LA_COLUMNS; column++) {
        for (var row = column; row < LA_COLUMNS; row++) {
            var entry = la_products[la_entry(row, column)];
            if row == column {
                entry = la_double_sum(entry, ridge);
            }
            for (var before = 0u; before < column; before++) {
                let pivot = la_products[la_entry(before, before)];
                let product = la_double_product(la_products[la_entry(row, before)], la_products[la_entry(column, before)]);
                entry = la_double_sum(entry, -la_double_product(product, pivot));
            }
            if row > column {
                entry = la_double_quotient(entry, la_products[la_entry(column, column)]);
            } else if !(entry.x > 0.0 && la_is_finite(entry.x)) {
                return false;
            }
            la_products[la_entry(row, column)] = entry;
        }
    }
    return true;
}

// z, and its sum.
fn la_solve_factors() -> vec2f {
    for (var row = 0u; row < LA_COLUMNS; row++) {
        var value = vec2f(1.0, 0.0);
        for (var column = 0u; column < row; column++) {
            value = la_double_sum(value, -la_double_product(la_products[la_entry(row, column)], la_found[column]));
        }
        la_found[row] = value;
    }
    var total = vec2f();
    for (var left = LA_COLUMNS; left > 0u; left--) {
        let row = left - 1u;
        var value = la_double_quotient(la_found[row], la_products[la_entry(row, row)]);
        for (var below = left; below < LA_COLUMNS; below++) {
            value = la_double_sum(value, -la_double_product(la_products[la_entry(below, row)], la_found[below]));
        }
        la_found[row] = value;
        total = la_double_sum(total, value);
    }
    return total;
}

// Finds the coefficients; they are all 0, which stands for the fixed step, where they cannot be had. The last one is what
// is left of 1.
fn la_coefficients(lambda: vec2f) {
    var is_found = la_factorise(lambda);
    if is_found {
        let total = la_solve_factors();
        var left = vec2f(1.0, 0.0);
        for (var column = 0u; column < LA_COLUMNS; column++) {
            let coefficient = la_double_quotient(la_found[column], total);
            la_found[column] = coefficient;
            if column + 1u == LA_COLUMNS {
                la_found[column] = left;
            }
            left = la_double_sum(left, -coefficient);
            is_found = is_found && la_is_finite(la_found[column].x);
        }
    }
    if !is_found {
        la_found = array<vec2f, LA_COLUMNS>();
    }
}

// The sums of a range's products, by LA_LANES threads, and the largest exponent of its spans.
fn la_add_up(range: La_Range, local: u32) -> f32 {
    let lane = local % LA_LANES;
    var most = 0.0;
    for (var span = lane; span < range.count; span += LA_LANES) {
        most = max(most, la_partials[(range.first + span) * (LA_PRODUCTS + 1u)].x);
    }
    let exponent = la_most_of_lanes(local, most);
    for (var span = lane; span < range.count; span += LA_LANES) {
        let begin = (range.first + span) * (LA_PRODUCTS + 1u);
        // Of both factors of a product. What is smaller than 2^-126 of the largest does not count.
        let power = 2.0 * (exponent - la_partials[begin].x);
        if power > 126.0 {
            continue;
        }
        let scale = bitcast<f32>((127u - u32(power)) << 23u);
        for (var product = 0u; product < LA_PRODUCTS; product++) {
            let partial = la_partials[begin + 1u + product];
            let scaled = vec2f(la_rounded(scale * partial.x), la_rounded(scale * partial.y));
            la_products[product] = la_double_sum(la_products[product], scaled);
        }
    }
    for (var product = 0u; product < LA_PRODUCTS; product++) {
        la_products[product] = la_sum_of_lanes(local, la_products[product]);
    }
    return exponent;
}

@compute @workgroup_size(LA_WORKGROUP)
fn la_solve(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_nothing = la_place.w;
    let at = (group.x + group.y * groups.x) * (LA_WORKGROUP / LA_LANES) + local / LA_LANES;
    let is_range = at < arrayLength(&la_ranges);
    var range = La_Range();
    if is_range {
        range = la_ranges[at];
    }
    let exponent = la_add_up(range, local);
    if !is_range || local % LA_LANES != 0u {
        return;
    }
    // Where nothing moved, or no sync is due, what was found last may still be read.
    if exponent > 0.0 && exponent < 255.0 {
        la_coefficients(range.lambda);
    }
    for (var column = 0u; column < LA_COLUMNS; column++) {
        la_factors[la_place.x + at * LA_COLUMNS + column] = la_found[column].x;
        if exponent > 0.0 {
            la_results[at * LA_COLUMNS + column] = la_found[column].x;
        }
    }
}
