// The mean of each row of the gradient, for centralisation.
alias La_Sum = vec2f;

#if first_pass
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
