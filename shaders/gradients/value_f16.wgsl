// Two values a word.
fn la_gradient_value(at: u32) -> f32 {
    return unpack2x16float(la_gradient_word(at / 2u))[at % 2u];
}
