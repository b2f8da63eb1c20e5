// The gradient alone decides.
const LA_PREVIEW = false;

fn la_update_is_bad() -> bool {
    return false;
}
