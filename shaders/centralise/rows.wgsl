// Gradient centralisation (Yong et al., 2020): less the mean over all dimensions but the first.
fn la_centralise(i: u32, g: vec4f) -> vec4f {
    let at = la_segment_of(i);
    let row_length = la_table[at + 6u];
    if row_length == 0u {
        return g;
    }
    let value = la_table[at + 5u] + 4u * (i - la_table[at]);
    let rows = la_window.means + la_table[at + 7u] + (vec4u(value) + vec4u(0u, 1u, 2u, 3u)) / row_length;
    let last = vec4u(arrayLength(&la_factors) - 1u); // padding has no row
    let row = min(rows, last);
    return g - vec4f(la_factors[row.x], la_factors[row.y], la_factors[row.z], la_factors[row.w]);
}
