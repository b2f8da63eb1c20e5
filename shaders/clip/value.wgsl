// As torch.nn.utils.clip_grad_value_.
fn clip(i: u32, g: vec4f) -> vec4f {
    // A NaN stays one: `clamp` may give any of its bounds.
    let is_nan = (bitcast<vec4u>(g) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
    return select(clamp(g, vec4f(-control.clip), vec4f(control.clip)), g, is_nan);
}
