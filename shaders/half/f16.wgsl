// IEEE half precision without the feature `shader-f16`: two values a word. Beyond 65504 a finite value saturates.
fn la_unpack_f16(words: vec2u) -> vec4f {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn la_pack_f16(values: vec4f) -> vec2u {
    let finite = (bitcast<vec4u>(values) & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
    let v = select(values, clamp(values, vec4f(-65504.0), vec4f(65504.0)), finite);
    return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}
