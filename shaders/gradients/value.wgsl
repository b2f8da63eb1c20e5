fn gradient_value(at: u32) -> f32 {
    return bitcast<f32>(gradient_word(at));
}
