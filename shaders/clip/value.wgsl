// As torch.nn.utils.clip_grad_value_.
fn la_clip(i: u32, g: vec4f) -> vec4f {
    return la_clamp(g, vec4f(-control.clip), vec4f(control.clip));
}
