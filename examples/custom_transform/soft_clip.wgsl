// Each value bounded smoothly: g <- c tanh(g / c), which leaves small ones almost as they are.
// coefficients: c, 1 / c.
fn soft_clip(g: vec4f, coefficients: vec4f) -> vec4f {
    // Some drivers' tanh overflows.
    return coefficients.x * tanh(la_clamp(coefficients.y * g, vec4f(-20.0), vec4f(20.0)));
}
