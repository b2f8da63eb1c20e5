// Half-width formats, two values a word.
#if uses_f16

// IEEE half precision without the feature `shader-f16`. Beyond 65504 a finite value saturates.
fn la_unpack_f16(words: vec2u) -> vec4f {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn la_pack_f16(values: vec4f) -> vec2u {
    let finite = (bitcast<vec4u>(values) & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
    let v = select(values, clamp(values, vec4f(-65504.0), vec4f(65504.0)), finite);
    return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}
#end
#if uses_bf16

// bfloat16, the upper half of an f32.
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
#end
#if half_weights

// As the copy of the weights has it.
fn la_pack(values: vec4f) -> vec2u {
#if f16_weights
    return la_pack_f16(values);
#else
    return la_pack_bf16(values);
#end
}
#end
