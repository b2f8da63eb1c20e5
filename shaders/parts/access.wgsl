// Where the values of a window lie, and how they are loaded and stored.
#import parts/window
#import parts/numbers
#if reductions
#import parts/factors
#end

#if owned
// Weights in the flat layout's own buffers, and the gradients too.
@group(1) @binding(1) var<storage, read_write> la_weights: array<vec4f>;

alias La_Place = u32;

fn la_locate(i: u32) -> La_Place {
    return i;
}

fn la_load_weights(at: La_Place) -> vec4f {
    return la_weights[at];
}

fn la_store_weights(at: La_Place, w: vec4f) {
    la_weights[at] = w;
}

#if half_gradients
#import parts/half

@group(1) @binding(2) var<storage, read> la_gradients: array<vec2u>;

fn la_load_gradient(at: La_Place) -> vec4f {
#if f16_gradients
    return la_unpack_f16(la_gradients[at]);
#else
    return la_unpack_bf16(la_gradients[at]);
#end
}
#else
@group(1) @binding(2) var<storage, read> la_gradients: array<vec4f>;

fn la_load_gradient(at: La_Place) -> vec4f {
    return la_gradients[at];
}
#end
#else
#if aligned
#import parts/by_vec4
#else
#import parts/by_value
#end
#end

#if planes
// What the optimizer keeps for each weight besides the weights: planes of `la_window.stride` vec4s, side by side. The
// rule's state comes first.
@group(2) @binding(0) var<storage, read_write> la_planes: array<vec4f>;

const LA_SLOTS = ${slots}u;
const LA_OUTER_AT = ${outer_at}u;
const LA_FISHER_AT = ${fisher_at}u;
const LA_CURVATURE_AT = ${curvature_at}u;
const LA_AVERAGE_AT = ${average_at}u;
const LA_ACCUMULATED_AT = ${accumulated_at}u;
#if tasks
const LA_TASK_MEAN_AT = ${task_mean_at}u;
#end
#if variance_reduced
const LA_SNAPSHOT_GRADIENTS_AT = ${snapshot_gradients_at}u;
const LA_FULL_GRADIENTS_AT = ${full_gradients_at}u;
#end

fn la_plane(index: u32, i: u32) -> u32 {
    return index * la_window.stride + i;
}
#end
