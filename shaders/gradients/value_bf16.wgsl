// Two values a word.
fn la_gradient_value(at: u32) -> f32 {
    let word = la_gradient_word(at / 2u);
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, at % 2u == 1u));
}
