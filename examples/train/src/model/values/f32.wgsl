// Values of f32, one a word.
alias Words = vec4f;

fn word_of(i: u32) -> u32 {
    return i;
}

fn decode(word: u32, i: u32) -> f32 {
    return bitcast<f32>(word);
}

fn decode_four(words: Words) -> vec4f {
    return words;
}
