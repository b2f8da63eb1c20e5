// Sums of squares of f32s of any size, after Blue ("A portable Fortran program to find the Euclidean norm of a
// vector", 1978): vec4s are put into one of three sums by their largest magnitude, each scaled by a power of two so
// that its squares stay within range, some 2^33 of the first pass's sums of them too.
// x: from 2^-40 on; y: from 2^40 on, times 2^-90; z: below 2^-40, times 2^70; w: one for each vec4 with an infinity
// and 2^64 for each with a NaN. What lies below 2^-126 counts as zero.
// The exponents' bits are scaled: compilers may take a common factor out of a sum, and then it leaves the range.
//
// Most are within range as they are. Where the plain sum of a thread's squares is in [2^-80, 2^94), what was lost to
// underflow cannot be told from rounding, and the plain sum serves as x.
fn la_is_plain(sum: f32) -> bool {
    return sum >= 0x1p-80 && sum < 0x1p94;
}

fn la_squares_of(v: vec4f) -> vec4f {
    let bits = bitcast<vec4u>(v) & vec4u(0x7fffffffu);
    let pairs = max(bits.xy, bits.zw);
    let most = max(pairs.x, pairs.y);
    let is_small = most < 0x2b800000u;
    let is_large = most >= 0x53800000u;
    let least = select(select(0u, 0x00800000u, is_small), 0x2d800000u, is_large); // what is not 0 when scaled
    let power = select(select(0u, 0x23000000u, is_small), 0xd3000000u, is_large); // 70, or -90
    let scaled = bitcast<vec4f>(select(vec4u(), bits + vec4u(power), bits >= vec4u(least)));
    let sum = dot(scaled, scaled);
    return vec4f(
        select(sum, 0.0, is_small || is_large),
        select(0.0, sum, is_large),
        select(0.0, sum, is_small),
        select(select(0.0, 1.0, most >= 0x7f800000u), 0x1p64, most > 0x7f800000u),
    );
}
