// The gradient decides, and the update that was tried.
const LA_PREVIEW = false;

@group(1) @binding(4) var<storage, read> la_tried: array<vec2f>;

fn la_update_is_bad() -> bool {
    return la_word(LA_RESULTS) > 0u && la_tried[0].x > 0.0;
}
