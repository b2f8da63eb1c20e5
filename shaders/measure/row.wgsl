// The sum of a row of the gradient; y: of what is large, times 2^-64, so that the mean of what f32 holds is found
// whatever its size.
fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let g = select(vec4f(), la_raw_gradient(i, la_locate(i)), inside);
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
