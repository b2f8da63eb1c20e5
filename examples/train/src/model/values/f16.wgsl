// Values of IEEE half precision, two a word.
alias Words = vec2u;

fn word_of(i: u32) -> u32 {
    return i / 2u;
}

fn decode(word: u32, i: u32) -> f32 {
    return unpack2x16float(word)[i % 2u];
}

fn decode_four(words: Words) -> vec4f {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

// What is too large for the format, NaN included, becomes infinite: WGSL leaves open what its own function makes
// of it, and no step may be taken with it.
fn encode(pair: vec2f) -> u32 {
    let bits = bitcast<vec2u>(pair);
    let is_too_large = (bits & vec2u(0x7fffffffu)) >= vec2u(0x477ff000u);
    let halves = pack2x16float(clamp(pair, vec2f(-65504.0), vec2f(65504.0)));
    let words = vec2u(halves & 0xffffu, halves >> 16u);
    let chosen = select(words, vec2u(0x7c00u), is_too_large);
    return chosen.x | (chosen.y << 16u);
}
