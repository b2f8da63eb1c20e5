// Stochastic gradient descent, without momentum.
fn update(w: vec4f, g: vec4f) -> vec4f {
    return w - control.lr * g;
}
