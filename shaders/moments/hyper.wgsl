// The rule's own, of which the first two are known: the decay of the second moment, and 1 less it.
struct Hyper {
    values: array<vec4f, 16>,
}
