// Values of f32, one a word.
fn word_of(i: u32) -> u32 {
    return i;
}

fn decode(word: u32, i: u32) -> f32 {
    return bitcast<f32>(word);
}
