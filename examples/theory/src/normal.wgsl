// Random numbers by counter, not by sequence: the same on every adapter and in every run. The generator
// is pcg4d (Jarzynski and Olano, "Hash functions for GPU rendering", 2020).
fn pcg4d(counter: vec4u) -> vec4u {
    var v = counter * 1664525u + vec4u(1013904223u);
    v += v.yzxy * v.wxyz;
    v ^= v >> vec4u(16u);
    v += v.yzxy * v.wxyz;
    return v;
}

// Four independent standard normal variables from one counter, by Box and Muller's transform. No value
// is beyond 5.9, since the uniform variables have 24 bits.
fn normals(counter: vec4u) -> vec4f {
    let bits = pcg4d(counter) >> vec4u(8u);
    let unit = (vec4f(bits) + 0.5) * 0x1p-24;
    let radius = sqrt(-2.0 * log(unit.xy));
    // Sine and cosine are exact enough everywhere only within [-pi, pi].
    let angle = 6.2831853 * (unit.zw - 0.5);
    return vec4f(radius * cos(angle), radius * sin(angle));
}
