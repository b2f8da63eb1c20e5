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
