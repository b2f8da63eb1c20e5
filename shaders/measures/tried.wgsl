// Whether what the rule would store is finite; nothing is stored.
alias La_Sum = vec2f;

#if first_pass
#import parts/inner

// Whether what the rule would store is not finite; nothing is stored.
fn la_measures() -> bool {
    return la_does(LA_UPDATE);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let place = la_locate(i);
    let before = la_load_weights(place);
    la_load_state(i);
    let after = la_inner(i, before, la_gradient(i, place));
    var wrong = la_is_not_finite(after);
#for slot in slots
    wrong |= la_is_not_finite(state[${slot}]);
#end
    return vec2f(select(0.0, 1.0, any(inside & wrong)), 0.0);
}
#else
// Whether any part of the update is not finite.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    la_results[at] = sum;
    return 1.0;
}
#end
