// AdaFactor, as optax.adafactor; g comes divided by the root of its second moment, clipped and scaled:
//   w <- w - lr g,   lr at most 1 / sqrt(t) with a relative step
struct Hyper {
    decay: f32,      // of the second moment: the driver's
    rest: f32,       // 1 - decay: the driver's, too
    most: f32,       // the largest learning rate
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    return w - min(control.lr, hyper.most) * g;
}
