// The iterates of a cycle that Anderson acceleration combines, the oldest one first, in planes of their own.
const LA_COLUMNS = ${columns}u;
const LA_ITERATES_AT = ${iterates_at}u;
const LA_KEEP = ${keep}u; // a bit of the control's flags

fn la_keep_iterate(i: u32, weights: vec4f) {
    la_planes[la_plane(LA_ITERATES_AT + ((control.flags >> ${plane_bits}u) & 7u), i)] = weights;
}
