// Numbers beyond f32's range: mantissa 2^exponent with a mantissa in [1, 2), or 0. Powers of two are applied to the
// exponent's bits: a compiler may join two of their multiplications into one that leaves the range.
struct La_Split {
    mantissa: f32,
    exponent: i32,
}

// Of a number that is finite and at least 0.
fn la_split(x: f32) -> La_Split {
    let bits = bitcast<u32>(x);
    let mantissa = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u);
    let is_zero = (bits & 0x7f800000u) == 0u;
    return La_Split(select(mantissa, 0.0, is_zero), select(i32((bits >> 23u) & 0xffu) - 127, 0, is_zero));
}

// As f32: 0 below its range, its largest number above it.
fn la_joined(x: La_Split) -> f32 {
    let bits = bitcast<u32>(x.mantissa) & 0x007fffffu;
    let power = u32(clamp(x.exponent + 127, 0, 255)) << 23u;
    let joined = select(power | bits, 0x7f7fffffu, x.exponent > 127);
    return select(bitcast<f32>(joined), 0.0, x.mantissa == 0.0 || x.exponent < -126);
}

fn la_shifted(x: La_Split, by: i32) -> La_Split {
    return La_Split(x.mantissa, select(x.exponent + by, 0, x.mantissa == 0.0));
}

fn la_product(a: La_Split, b: La_Split) -> La_Split {
    return la_shifted(la_split(a.mantissa * b.mantissa), a.exponent + b.exponent);
}

// b is not 0.
fn la_quotient(a: La_Split, b: La_Split) -> La_Split {
    return la_shifted(la_split(a.mantissa / max(b.mantissa, 1.0)), a.exponent - b.exponent);
}

// a + small, where `small` is in f32's range, and far below a where a is not.
fn la_plus(a: La_Split, small: f32) -> La_Split {
    if a.exponent > 100 {
        return a;
    }
    return la_split(la_joined(a) + small);
}

// The norm from the sums of parts/squares.wgsl, which are finite.
fn la_norm(sums: vec4f) -> La_Split {
    if sums.y > 0.0 {
        return la_shifted(la_split(sqrt(sums.y + la_joined(la_shifted(la_split(sums.x), -180)))), 90);
    }
    if sums.x > 0.0 {
        return la_split(sqrt(sums.x + la_joined(la_shifted(la_split(sums.z), -140))));
    }
    return la_shifted(la_split(sqrt(sums.z)), -70);
}

// A factor for `la_times`: negative, and times 2^126, where it lies below f32's range.
fn la_factor(x: La_Split) -> f32 {
    if x.exponent >= -126 {
        return la_joined(x);
    }
    return -la_joined(la_shifted(x, 126));
}

// An infinity or NaN of these bits, which WGSL does not take as a constant.
fn la_not_finite(bits: u32) -> f32 {
    return bitcast<f32>(bits);
}
