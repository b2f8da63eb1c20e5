// The sums of squares of two things at once, which `la_pair` gives.
alias La_Plain = vec2f;

fn la_plain(i: u32, inside: vec4<bool>) -> La_Plain {
    let pair = la_pair(i, inside);
    return vec2f(dot(pair[0], pair[0]), dot(pair[1], pair[1]));
}

fn la_serves(sums: La_Plain) -> bool {
    return la_is_plain(sums.x) && la_is_plain(sums.y);
}

fn la_from_plain(sums: La_Plain) -> La_Sum {
    return mat2x4f(vec4f(sums.x, 0.0, 0.0, 0.0), vec4f(sums.y, 0.0, 0.0, 0.0));
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let pair = la_pair(i, inside);
    return mat2x4f(la_squares_of(pair[0]), la_squares_of(pair[1]));
}
