fn la_gain() -> f32 {
    return 1.0;
}
