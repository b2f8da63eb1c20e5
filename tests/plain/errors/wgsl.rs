//! Rules of one's own whose WGSL is wrong: the line told is that of the rule's own text.

use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Error, Guard, Half, Options, Shape, kernels,
};

use super::{
    check,
    rules::{Broken, RIGHT, refuse},
};

/// The line that an [`Error::Shader`] tells.
fn line(error: &Error) -> u32 {
    match error {
        Error::Shader { line, .. } => *line,
        other => panic!("{other}"),
    }
}

#[test]
fn wgsl_that_does_not_compile() {
    for (wgsl, at, parts) in [
        // A syntax error.
        (
            "struct Hyper {\n    lr: f32,\n}\n\nfn update(w: vec4f, g: vec4f) -> vec4f {\n    return w - ;\n}\n",
            6,
            &["at line 6", "return w - ;", "expected expression"][..],
        ),
        // An undefined function.
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> vec4f {\n    return shrink(w);\n}",
            3,
            &["at line 3", "return shrink(w);", "no definition in scope for identifier: `shrink`"],
        ),
        // An undefined member.
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> vec4f { return hyper.beta * w; }\n",
            2,
            &["hyper.beta", "invalid field accessor `beta`"],
        ),
        // What parses and is not valid: a value where another type is due.
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> vec4f {\n    return hyper.lr;\n}\n",
            3,
            &["at line 3", "hyper.lr", "the type is f32, expected vec4f"],
        ),
        // More slots than the rule has.
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> vec4f {\n    return state[1];\n}\n",
            3,
            &["at line 3", "this rule has 1 slot, `state[1]` is not one"],
        ),
    ] {
        let error = refuse(Broken::new(wgsl));
        assert_eq!(line(&error), at, "{error}");
        check(error, "Shader", &[&["the WGSL of the rule `broken` is wrong"], parts].concat());
    }
}

/// Types that do not go together, in WGSL's words.
#[test]
fn types_are_told_plainly() {
    for (body, parts) in [
        ("return hyper.lr;", &["the type is f32, expected vec4f (what is returned)"][..]),
        ("return vec3f();", &["the type is vec3f, expected vec4f"]),
        ("return w.xy;", &["the type is vec2f, expected vec4f"]),
        ("state[0] = hyper.lr; return w;", &["the type is f32, expected vec4f (what is stored)"]),
        ("state[0] = vec4u(); return w;", &["vec4<u32>", "f32 is required here"]),
        ("state[0] = w.xyz; return w;", &["the type is vec3f, expected vec4f (what is stored)"]),
        ("return w + vec3f();", &["the types are vec4f and vec3f, which do not go together (Add)"]),
        ("return w * vec4u(1u);", &["the types are vec4f and vec4u", "Multiply"]),
        ("return helper(w);", &["the type is vec4f, expected f32 (argument 1 of `helper`)"]),
        ("return helper(1.0, 2.0);", &["`helper` takes 1 arguments, and is given 2"]),
        ("if hyper.lr { return w; } return g;", &["the type is f32, expected bool (the condition)"]),
        ("return select(w, g, hyper.lr);", &["the type is f32, expected bool (the condition of `select`)"]),
        ("return select(w, vec3f(), true);", &["vec3f", "vec4f"]),
        ("let x: f32 = g; return w;", &["f32", "vec4<f32>"]),
        ("return state[4 - 2];", &["the index 2 is out of range"]),
        ("return w[7] * g;", &["7"]),
    ] {
        let helper = "fn helper(x: f32) -> vec4f { return vec4f(x); }";
        let wgsl = format!(
            "struct Hyper {{ lr: f32 }}\n{helper}\nfn update(w: vec4f, g: vec4f) -> vec4f {{\n    {body}\n}}\n"
        );
        let error = refuse(Broken::new(wgsl.leak()));
        // naga tells no place of some.
        assert!([0, 3, 4].contains(&line(&error)), "{error}");
        check(error.clone(), "Shader", parts);
        let text = error.to_string();
        let handle = text.split('[').skip(1).any(|rest| {
            let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            number.len() < rest.len() && number.starts_with("])")
        });
        assert!(!handle, "naga's numbers in {text}");
    }
}

#[test]
fn slots_that_there_are_not() {
    let with = |slots: usize, index: &str| {
        let names = ["a", "b", "c"];
        let text =
            format!("{HYPER}fn update(w: vec4f, g: vec4f) -> vec4f {{\n    return state[{index}];\n}}\n");
        let slots = names[..slots].iter().map(|name| lookahead_wgpu::rules::Slot::zero(name)).collect();
        refuse(Broken { slots, ..Broken::new(text.leak()) })
    };
    check(with(1, "1"), "Shader", &["at line 3", "this rule has 1 slot, `state[1]` is not one"]);
    check(with(2, "2u"), "Shader", &["this rule has 2 slots, `state[2]` is not one"]);
    check(with(0, "0"), "Shader", &["this rule has no slots, `state[0]` is not one"]);
}

const HYPER: &str = "struct Hyper { lr: f32 }\n";

/// The functions that the driver calls, with what is expected.
#[test]
fn wgsl_that_the_driver_cannot_call() {
    let expected = "`fn update(w: vec4f, g: vec4f) -> vec4f`";
    let hyper = "has no `struct Hyper` in its WGSL, and `Rule::hyper` gives 1";
    for (wgsl, kind, told) in [
        ("struct Hyper { lr: f32 }\n", "Rule", &["has no", expected][..]),
        ("fn update(w: vec4f, g: vec4f) -> vec4f { return w; }", "Rule", &[hyper]),
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f) -> vec4f { return w; }",
            "Shader",
            &["at line 2", "it has `fn update(w: vec4f) -> vec4f`", expected],
        ),
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> f32 { return 0.0; }",
            "Shader",
            &["it has `fn update(w: vec4f, g: vec4f) -> f32`", expected],
        ),
        (
            "struct Hyper { lr: f32 }\nfn update(w: f32, g: f32) -> f32 { return w; }",
            "Shader",
            &["it has `fn update(w: f32, g: f32) -> f32`", expected],
        ),
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) {}",
            "Shader",
            &["it has `fn update(w: vec4f, g: vec4f)`", expected],
        ),
        ("", "Rule", &[hyper]),
        ("// nothing but a comment", "Rule", &[hyper]),
        ("\n/* never closed", "Shader", &["at line 2", "the comment is never closed"]),
    ] {
        check(refuse(Broken::new(wgsl)), kind, told);
    }
    // Other names for the same types, and a name of its own for each parameter.
    let aliases = "alias Four = vec4 < f32 >;\nalias F = f32;\nstruct Hyper { lr: F, }\n\
                   @must_use fn update(weight: Four, gradient: vec4<f32>) -> vec4<F> { return weight; }";
    kernels::check(&Broken::new(aliases)).unwrap();
    let round = "alias Four = vec4<Four>;\nfn update(w: Four, g: Four) -> Four { return w; }";
    let round = refuse(Broken { hyper: vec![], ..Broken::new(round) });
    check(round, "Shader", &["at line 2", "`fn update(w: Four, g: Four) -> Four`"]);
}

#[test]
fn names_that_are_the_drivers() {
    let with = |text: &str| Broken::new(format!("{RIGHT}{text}\n").leak());
    for text in ["fn la_step() {}", "const LA_SYNC = 1;", "struct La_Window { x: f32 }", "fn la_own() {}"] {
        check(refuse(with(text)), "Shader", &["at line 8", "a name of the driver's", "begin with `la_`"]);
    }
    for text in ["var<private> control: f32;", "fn trust() {}", "const hyper = 1.0;", "fn state() {}"] {
        check(refuse(with(text)), "Shader", &["is a name of the driver's"]);
    }
    for text in
        ["fn max(a: f32) -> f32 { return a; }", "fn select() {}", "alias vec4f = f32;", "fn step() {}"]
    {
        check(refuse(with(text)), "Shader", &["at line 8", "is WGSL's own, which the driver uses"]);
    }
}

/// What a rule is likely to call its helpers is free, and so are all of WGSL's functions.
#[test]
fn names_that_are_free() {
    let names = [
        "average",
        "sync",
        "clip",
        "gradient",
        "norm",
        "scale",
        "window",
        "plane",
        "planes",
        "weights",
        "gradients",
        "factors",
        "table",
        "slow",
        "pull",
        "gain",
        "seed",
        "share",
        "initial",
        "direction",
        "locate",
        "load_weights",
        "sums",
        "square",
        "curvature",
        "finish",
        "partial",
        "swap",
        "word",
        "number",
        "Place",
        "Window",
        "Control",
        "Span",
        "UPDATE",
        "SLOTS",
        "FLAGS",
        "WORKGROUP",
        "WG",
        "conclude",
        "measured",
        "decay",
        "lr",
        "w",
        "g",
        "i",
        "before",
        "after",
        "place",
        "local",
        "group",
        "id",
        "at",
        "mine",
        "sum",
        "bits",
        "factor",
        "v",
    ];
    let helpers: String =
        names.iter().map(|name| format!("fn {name}(x: vec4f) -> vec4f {{ return x; }}\n")).collect();
    let calls: String = names.iter().map(|name| format!("    sum_ += {name}(first);\n")).collect();
    let builtins = "\
abs(x) + acos(x) + acosh(x) + asin(x) + asinh(x) + atan(x) + atanh(x) + atan2(x, x) + ceil(x) + clamp(x, x, x) + cos(x)
 + cosh(x) + degrees(x) + vec4f(distance(x, x)) + vec4f(dot(x, x)) + exp(x) + exp2(x) + faceForward(x, x, x) + floor(x)
 + fma(x, x, x) + fract(x) + frexp(x).fract + inverseSqrt(x) + ldexp(x, vec4i(1)) + vec4f(length(x)) + log(x) + log2(x)
 + max(x, x) + min(x, x) + mix(x, x, x) + modf(x).whole + normalize(x) + pow(x, x) + quantizeToF16(x) + radians(x)
 + reflect(x, x) + refract(x, x, 0.5) + round(x) + saturate(x) + sign(x) + sin(x) + sinh(x) + smoothstep(x, x, x)
 + sqrt(x) + step(x, x) + tan(x) + tanh(x) + trunc(x) + select(x, x, x > x) + la_sign(x) + la_max(x, la_min(x, x))
 + la_clamp(x, x, x) + select(x, -x, la_is_nan(x)) + vec4f(cross(x.xyz, x.xyz), f32(any(x > x) || all(x > x)))";
    let wgsl = format!(
        "struct Hyper {{ lr: f32 }}\n{helpers}\nfn update(first: vec4f, second: vec4f) -> vec4f {{\n    \
         let x = first;\n    var sum_ = {builtins};\n{calls}    return sum_ - hyper.lr * second;\n}}\n"
    );
    let rule = Broken::new(wgsl.leak());
    kernels::check(&rule).unwrap();
    // Within every kernel.
    for options in [Options::default(), everything()] {
        for source in kernels::all(&rule, &options, Shape::default()) {
            let module = naga::front::wgsl::parse_str(&source.wgsl)
                .unwrap_or_else(|error| panic!("{}: {}", source.name, error.emit_to_string(&source.wgsl)));
            let mut validator =
                naga::valid::Validator::new(Default::default(), naga::valid::Capabilities::all());
            validator
                .validate(&module)
                .unwrap_or_else(|error| panic!("{}: {}", source.name, error.emit_to_string(&source.wgsl)));
        }
    }
}

fn everything() -> Options {
    Options::default()
        .clip(Clip::TensorNorm(1.0))
        .adaptive(AdaptiveAlpha::new(0.1))
        .average(Average::Ema { decay: 0.9 })
        .accumulate(Accumulation::mean(2))
        .centralise(true)
        .guard(Guard::default())
        .half_weights(Half::F16)
        .half_gradients(Half::Bf16)
        .slow_bf16(true)
        .outer(lookahead_wgpu::outer::Nesterov::default())
}

#[test]
fn a_hyper_that_is_not_what_the_rule_pushes() {
    let update = "fn update(w: vec4f, g: vec4f) -> vec4f { return w; }";
    let with = |hyper: &str| Broken::new(format!("{hyper}\n{update}\n").leak());
    let vector = refuse(with("struct Hyper { lr: f32, betas: vec2f }"));
    check(vector, "Rule", &["the rule `broken` has the member `betas` in `Hyper`", "no `f32`"]);
    check(refuse(with("struct Hyper { steps: u32 }")), "Rule", &["`steps`", "no `f32`"]);
    let more = refuse(with("struct Hyper { lr: f32, momentum: f32 }"));
    check(more, "Rule", &["has 2 members in `Hyper`, and `Rule::hyper` gives 1"]);
    let fewer = refuse(Broken { hyper: vec![0.1; 2], ..with("struct Hyper { a: f32, b: f32, c: f32 }") });
    check(fewer, "Rule", &["has 3 members in `Hyper`, and `Rule::hyper` gives 2"]);
    check(refuse(with("alias Hyper = f32;")), "Rule", &["no `struct Hyper`"]);
    let moved =
        refuse(Broken { hyper: vec![0.1; 2], ..with("struct Hyper { @size(16) lr: f32, momentum: f32 }") });
    check(moved, "Rule", &["at the member `lr` of `Hyper`", "leave `@size` and `@align` out"]);
    let full: String = (0..64).map(|index| format!("    h{index}: f32,\n")).collect();
    let full = with(&format!("struct Hyper {{\n{full}}}"));
    kernels::check(&Broken { hyper: vec![0.1; 64], ..full }).unwrap();
}
