// The gradient is that of the loss times the loss scale.
@group(0) @binding(5) var<storage, read> la_clock: array<u32>;

fn la_gain() -> f32 {
    return bitcast<f32>(la_clock[LA_UNSCALE]);
}
