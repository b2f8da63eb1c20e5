// Gradient centralisation (Yong et al., 2020): less the mean over all dimensions but the first.
fn la_centralise(g: vec4f, reduced: vec4f) -> vec4f {
    return g - reduced;
}
