// Some of the entries of a tensor's second moment, side by side in `la_factors`: a workgroup's.
#import parts/control

override LA_WORKGROUP: u32;

struct La_Entries {
    at: u32,      // the first, in `la_factors`
    slow: u32,    // its slow copy, where there is one
    count: u32,
    shares: u32,  // threads that add up an entry together, a power of two
    number: u32,  // the first one's number in the tensor
    sheets: u32,  // the sheets that have partial sums of them
    end: u32,     // one past the last
    alpha: u32,   // where in `la_factors` the tensor's alpha is
    root: u32,    // where the first one's root goes; ~0 where the moment is whole
    mean: u32,    // where the means of each matrix's rows start, for rows of matrices; ~0 for others
    block: u32,   // what of an entry's number is its matrix: number / block * stride + number % stride
    stride: u32,
    weight: f32,  // 1 / how many squares an entry is the mean of
    eps: f32,
}

// Partial sums of some of a tensor's entries: so many of each.
struct La_Sheet {
    number: u32,  // the first entry's
    entries: u32,
    partial: u32,
    count: u32,
}

@group(1) @binding(0) var<storage, read> la_tasks: array<La_Entries>;
@group(1) @binding(1) var<storage, read> la_sheets: array<La_Sheet>;
@group(1) @binding(2) var<storage, read> la_partials: array<f32>;
@group(1) @binding(3) var<storage, read_write> la_factors: array<f32>;
