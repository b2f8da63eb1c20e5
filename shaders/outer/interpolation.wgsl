// Lookahead: phi <- phi - alpha d, d = phi - theta; written so that alpha = 1 gives theta bit for bit.
fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f {
    return theta + one_minus_alpha * (phi - theta);
}
