// bfloat16, the upper half of an f32: two values a word.
fn la_unpack_bf16(words: vec2u) -> vec4f {
    return bitcast<vec4f>(vec4u(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}

fn la_join_bf16(upper: vec4u) -> vec2u {
    return vec2u((upper.x >> 16u) | (upper.y & 0xffff0000u), (upper.z >> 16u) | (upper.w & 0xffff0000u));
}

// Adds to the lower halves, carrying into the upper ones; infinities are left as they are, and a NaN stays one
// whatever its lower half.
fn la_add_below(bits: vec4u, addend: vec4u) -> vec4u {
    let finite = (bits & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
    let is_nan = (bits & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
    return select(select(bits, bits | vec4u(0x00400000u), is_nan), bits + addend, finite);
}

// To the nearest, ties to even.
fn la_pack_bf16(values: vec4f) -> vec2u {
    let bits = bitcast<vec4u>(values);
    return la_join_bf16(la_add_below(bits, vec4u(0x7fffu) + ((bits >> vec4u(16u)) & vec4u(1u))));
}
