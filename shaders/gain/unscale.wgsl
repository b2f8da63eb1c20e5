// The gradient is that of the loss times the loss scale.
@group(0) @binding(5) var<storage, read> clock: array<u32>;

fn gain() -> f32 {
    return bitcast<f32>(clock[UNSCALE]);
}
