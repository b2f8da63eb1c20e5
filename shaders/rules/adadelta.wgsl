// Adadelta, as torch.optim.Adadelta:
//   v <- rho v + (1 - rho) g^2;   d = sqrt(a + eps) / sqrt(v + eps) g
//   a <- rho a + (1 - rho) d^2;   w <- w - lr d
// state: v, the mean square of the gradient; a, that of d.
struct Hyper {
    rho: f32,
    rest: f32,       // 1 - rho
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let v = hyper.rho * state[0] + hyper.rest * g * g;
    let d = sqrt(state[1] + hyper.eps) / sqrt(v + hyper.eps) * g;
    state[0] = v;
    state[1] = hyper.rho * state[1] + hyper.rest * d * d;
    return w - control.lr * d;
}
