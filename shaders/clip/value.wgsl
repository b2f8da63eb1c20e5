// As torch.nn.utils.clip_grad_value_.
fn clip(i: u32, g: vec4f) -> vec4f {
    return clamp(g, vec4f(-control.clip), vec4f(control.clip));
}
