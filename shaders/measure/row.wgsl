// The sum of a row of the gradient; y: of what is large, times 2^-64, so that the mean of what f32 holds is found
// whatever its size.
fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let g = select(vec4f(), la_raw_gradient(i, la_locate(i)), inside);
    let is_large = any((bitcast<vec4u>(g) & vec4u(0x7fffffffu)) >= vec4u(0x6c800000u)); // 2^90
    let scaled = select(1.0, 0x1p-64, is_large) * g;
    let sum = scaled.x + scaled.y + scaled.z + scaled.w;
    return vec2f(select(sum, 0.0, is_large), select(0.0, sum, is_large));
}
