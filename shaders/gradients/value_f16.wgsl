// Two values a word.
fn gradient_value(at: u32) -> f32 {
    return unpack2x16float(gradient_word(at / 2u))[at % 2u];
}
