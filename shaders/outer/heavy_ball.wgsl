// Heavy-ball outer momentum: b <- mu b + d;   phi <- phi - alpha b,   d = phi - theta.
// outer_state: b.   control.outer: mu
fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f {
    let past = control.outer.x * outer_state[0];
    outer_state[0] = past + (phi - theta);
    return theta + one_minus_alpha * (phi - theta) - (1.0 - one_minus_alpha) * past;
}
