// Tells what the step would be, for the update to be tried; the clock stays as it is.
const LA_PREVIEW = true;

fn la_update_is_bad() -> bool {
    return false;
}
