// Stochastic gradient descent, without momentum.
struct Hyper {
    lr: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    return w - hyper.lr * g;
}
