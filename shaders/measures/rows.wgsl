// The mean of each row of the gradient, for centralisation.
alias La_Sum = vec2f;

#if first_pass
fn la_measures() -> bool {
    return true;
}

alias La_Plain = vec4f;

fn la_plain(i: u32, inside: vec4<bool>) -> La_Plain {
    return select(vec4f(), la_gradient_to_reduce(i, la_locate(i)), inside);
}

fn la_serves(sums: La_Plain) -> bool {
    return abs(sums.x) + abs(sums.y) + abs(sums.z) + abs(sums.w) < 0x1p90;
}

fn la_from_plain(sums: La_Plain) -> La_Sum {
    return vec2f(sums.x + sums.y + sums.z + sums.w, 0.0);
}

// The sum of a row of the gradient; y: of what is large, times 2^-64, so that the mean of what f32 holds is found
// whatever its size.
fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let g = select(vec4f(), la_gradient_to_reduce(i, la_locate(i)), inside);
    let bits = bitcast<vec4u>(g);
    let magnitude = bits & vec4u(0x7fffffffu);
    let is_large = magnitude >= vec4u(0x6c800000u); // 2^90
    let is_finite = magnitude < vec4u(0x7f800000u);
    // The exponent's bits: compilers take a common factor out of a sum.
    let lowered = bitcast<vec4f>(select(bits, bits - vec4u(0x20000000u), is_large & is_finite));
    let plain = select(g, vec4f(), is_large);
    let large = select(vec4f(), lowered, is_large);
    return vec2f(plain.x + plain.y + plain.z + plain.w, large.x + large.y + large.z + large.w);
}
#else
// The mean of a row. settings: 1 / its length.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let large = settings.x * sum.y;
    // Of finite values it is finite, whatever rounding says.
    let is_finite = (bitcast<u32>(large) & 0x7f800000u) != 0x7f800000u;
    let bounded = select(large, clamp(large, -0x1.fffffep63, 0x1.fffffep63), is_finite);
    return settings.x * sum.x + 0x1p64 * bounded;
}
#end
