// Of the sum of the micro-batches, times the loss scale, the mean; its negative where the objective is maximised.
fn la_unscale(g: vec4f, coefficients: vec4f) -> vec4f {
    return coefficients.x * g;
}
