// Signum (Bernstein et al., 2018): steps of one size, in the direction of the momentum's sign:
//   m <- beta m + (1 - beta) g;   w <- w - lr sign(m)
// state: m, the momentum.
struct Hyper {
    beta: f32,
    rest: f32, // 1 - beta, rounded once
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.beta * state[0] + hyper.rest * g;
    state[0] = m;
    return w - control.lr * la_sign(m);
}
