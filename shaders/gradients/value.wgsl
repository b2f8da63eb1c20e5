fn la_gradient_value(at: u32) -> f32 {
    return bitcast<f32>(la_gradient_word(at));
}
