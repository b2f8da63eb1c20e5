// Katyusha (Allen-Zhu, 2017), Algorithm 1 with psi = 0, for which its options I and II are one; lr = 1/(3L), alpha = lr/tau1:
//   z <- z - alpha g;   y <- x - lr g;   x <- tau1 z + tau2 x~ + (1 - tau1 - tau2) y
// x~ is the slow weights, x what the caller sees. A sync makes x~ of the mean of the cycle's y, the j-th of which weighs
// (1 + alpha sigma)^j.
// state: z; that mean so far; the sum of its weights over the last one, 0 where a cycle begins.
struct Hyper {
    tau1: f32,
    tau2: f32,
    rest: f32,    // 1 - tau1 - tau2
    inverse: f32, // 1 / tau1
    sigma: f32,
    begun: f32,   // 0 at the first step, at which z is x; then 1
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let alpha = control.lr * hyper.inverse;
    let z = select(w, state[0], hyper.begun > 0.0) - alpha * g;
    let y = w - control.lr * g;
    let sum = state[2] / (1.0 + alpha * hyper.sigma) + 1.0;
    state[0] = z;
    state[1] += (y - state[1]) / sum;
    state[2] = sum;
    return hyper.tau1 * z + hyper.tau2 * la_anchor + hyper.rest * y;
}

fn snapshot() -> vec4f {
    state[2] = vec4f();
    return state[1];
}

fn shifted(w: vec4f, before: vec4f, after: vec4f) -> vec4f {
    return w + hyper.tau2 * (after - before);
}
