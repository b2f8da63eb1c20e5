// Nesterov outer momentum (DiLoCo, SNOO): b <- mu b + d;   phi <- phi - alpha (d + mu b),   d = phi - theta.
// outer_state: b.   control.outer: mu
fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f {
    let b = control.outer.x * outer_state[0] + (phi - theta);
    outer_state[0] = b;
    return theta + one_minus_alpha * (phi - theta) - ((1.0 - one_minus_alpha) * control.outer.x) * b;
}
