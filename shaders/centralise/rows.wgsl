// Gradient centralisation (Yong et al., 2020): less the mean over all dimensions but the first.
fn centralise(i: u32, g: vec4f) -> vec4f {
    let at = segment_of(i);
    let row_length = table[at + 6u];
    if row_length == 0u {
        return g;
    }
    let value = table[at + 5u] + 4u * (i - table[at]);
    let rows = window.means + table[at + 7u] + (vec4u(value) + vec4u(0u, 1u, 2u, 3u)) / row_length;
    let last = vec4u(arrayLength(&factors) - 1u); // padding has no row
    let row = min(rows, last);
    return g - vec4f(factors[row.x], factors[row.y], factors[row.z], factors[row.w]);
}
