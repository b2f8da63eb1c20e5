// The gradient: as it lies there, then centralised, scaled and clipped.
#if accumulates
// A step takes the sum of several micro-batches' gradients: all but the last lie in a plane, or all of them.
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_planes[la_plane(LA_ACCUMULATED_AT, i)] + select(la_load_gradient(place), vec4f(), la_does(LA_GATHERED));
}
#else
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_load_gradient(place);
}
#end

#if centralises
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

fn la_unclipped_gradient(i: u32, place: La_Place) -> vec4f {
    return control.gain * la_centralise(i, la_raw_gradient(i, place));
}
#else
fn la_unclipped_gradient(i: u32, place: La_Place) -> vec4f {
    return control.gain * la_raw_gradient(i, place);
}
#end

// What the rule is given, but for its weight decay.
fn la_gradient(i: u32, place: La_Place) -> vec4f {
    let g = la_unclipped_gradient(i, place);
#if clips_value
    return la_clamp(g, vec4f(-control.clip), vec4f(control.clip)); // as torch.nn.utils.clip_grad_value_
#else
#if clips_global_norm
    return la_times(la_factors[la_window.clip], g); // one factor for the whole model
#else
#if clips_tensor_norm
    return la_times(la_factors[la_window.clip + la_tensor_of(i)], g); // one for each tensor
#else
    return g;
#end
#end
#end
}
