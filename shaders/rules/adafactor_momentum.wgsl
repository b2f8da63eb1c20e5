// AdaFactor with momentum, as optax.adafactor; g comes divided by the root of its second moment, clipped and
// scaled:
//   m <- momentum m + (1 - momentum) lr g;   w <- w - m,   lr at most 1 / sqrt(t) with a relative step
// state: m, the mean of the steps.
struct Hyper {
    decay: f32,      // of the second moment: the driver's
    rest: f32,       // 1 - decay: the driver's, too
    most: f32,       // the largest learning rate
    momentum: f32,
    fresh: f32,      // 1 - momentum
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.momentum * state[0] + (hyper.fresh * min(control.lr, hyper.most)) * g;
    state[0] = m;
    return w - m;
}
