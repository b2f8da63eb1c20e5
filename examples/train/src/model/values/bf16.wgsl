// Values of bfloat16, the upper half of an f32, two a word.
alias Words = vec2u;

fn word_of(i: u32) -> u32 {
    return i / 2u;
}

fn decode(word: u32, i: u32) -> f32 {
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, i % 2u == 1u));
}

fn decode_four(words: Words) -> vec4f {
    return bitcast<vec4f>((words.xxyy << vec4u(16u, 0u, 16u, 0u)) & vec4u(0xffff0000u));
}

// To the nearest, ties to even; what is not finite stays so.
fn encode(pair: vec2f) -> u32 {
    let bits = bitcast<vec2u>(pair);
    let rounded = bits + vec2u(0x7fffu) + ((bits >> vec2u(16u)) & vec2u(1u));
    let is_finite = (bits & vec2u(0x7f800000u)) != vec2u(0x7f800000u);
    let chosen = select(bits, rounded, is_finite);
    return (chosen.x >> 16u) | (chosen.y & 0xffff0000u);
}
