// SlowMo: u <- beta u + d / lr;   phi <- phi - alpha lr u,   d = phi - theta, lr the inner learning rate.
// outer_state: u.   control.outer: beta
fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f {
    let past = control.outer.x * outer_state[0];
    outer_state[0] = past + select((phi - theta) / control.lr, vec4f(), control.lr == 0.0);
    return theta + one_minus_alpha * (phi - theta) - ((1.0 - one_minus_alpha) * control.lr) * past;
}
