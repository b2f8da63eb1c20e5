// Annealed Gaussian noise (Neelakantan et al., 2015): g + N(0, s^2), s^2 = eta / (1 + step)^gamma.
// coefficients: sqrt(eta), gamma / 2, and the seed's lower and upper 16 bits.

fn la_noise_mixed(bits: vec4u) -> vec4u {
    var v = bits;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// Random bits by number, not by sequence: pcg4d (Jarzynski and Olano, "Hash functions for GPU rendering", 2020).
fn la_noise_bits(number: vec4u) -> vec4u {
    var v = number * 1664525u + vec4u(1013904223u);
    v = la_noise_mixed(v);
    return la_noise_mixed(v ^ (v >> vec4u(16u)));
}

// From uniform numbers in (-1, 1): sqrt(2) times the inverse error function (Giles, "Approximating the erfinv function",
// 2010), whose polynomials are the same on all hardware, as its sines would not be.
fn la_noise_normal(u: vec4f) -> vec4f {
    let w = -log((1.0 - u) * (1.0 + u));
    let a = w - 2.5;
    var near = 2.81022636e-8 * a + 3.43273939e-7;
    near = near * a - 3.5233877e-6;
    near = near * a - 4.39150654e-6;
    near = near * a + 2.1858087e-4;
    near = near * a - 1.25372503e-3;
    near = near * a - 4.17768164e-3;
    near = near * a + 0.246640727;
    near = near * a + 1.50140941;
    let b = sqrt(w) - 3.0;
    var far = -2.00214257e-4 * b + 1.00950558e-4;
    far = far * b + 1.34934322e-3;
    far = far * b - 3.67342844e-3;
    far = far * b + 5.73950773e-3;
    far = far * b - 7.6224613e-3;
    far = far * b + 9.43887047e-3;
    far = far * b + 1.00167406;
    far = far * b + 2.83297682;
    return 1.41421356 * select(far, near, w < vec4f(5.0)) * u;
}

fn la_gradient_noise(g: vec4f, coefficients: vec4f, tensor: u32, value: u32, step: u32) -> vec4f {
    let seed = u32(coefficients.z) | (u32(coefficients.w) << 16u);
    let bits = la_noise_bits(vec4u(value, tensor, step, seed)) >> vec4u(9u);
    let normal = la_noise_normal((vec4f(bits) + 0.5) * 0x1p-22 - 1.0);
    return g + coefficients.x * pow(1.0 + f32(step), -coefficients.y) * normal;
}
