//! Rules of one's own whose WGSL is wrong: the line told is that of the rule's own text.

use lookahead_wgpu::{Error, kernels};

use crate::{
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
            &["at line 3", "hyper.lr", "does not match"],
        ),
        // More slots than the rule has.
        (
            "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> vec4f {\n    return state[1];\n}\n",
            3,
            &["at line 3", "state[1]", "Accessing index 1"],
        ),
    ] {
        let error = refuse(Broken::new(wgsl));
        assert_eq!(line(&error), at, "{error}");
        check(error, "Shader", &[&["the WGSL of the rule `broken` is wrong"], parts].concat());
    }
}

/// The line is then past the rule's own text, and the message says what the text must hold.
#[test]
fn wgsl_that_the_driver_cannot_call() {
    let contract = "must hold `struct Hyper` and `fn update(w: vec4f, g: vec4f) -> vec4f`";
    for (wgsl, told) in [
        ("struct Hyper { lr: f32 }\n", "no definition in scope for identifier: `update`"),
        (
            "fn update(w: vec4f, g: vec4f) -> vec4f { return w; }",
            "no definition in scope for identifier: `Hyper`",
        ),
        ("struct Hyper { lr: f32 }\nfn update(w: vec4f) -> vec4f { return w; }", "update("),
        ("struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> f32 { return 0.0; }", "after = update("),
        ("struct Hyper { lr: f32 }\nfn update(w: f32, g: f32) -> f32 { return w; }", "update("),
        ("struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) {}", "update("),
        ("", "`Hyper`"),
        ("// nothing but a comment", "`Hyper`"),
    ] {
        let error = refuse(Broken::new(wgsl));
        assert!(line(&error) as usize > wgsl.lines().count(), "{error}");
        check(error, "Shader", &[contract, told, &format!("text ends at line {}", wgsl.lines().count())]);
    }
    check(refuse(Broken::new("/* never closed")), "Shader", &["the rule `broken`"]);
}

#[test]
fn names_that_are_the_drivers() {
    for name in ["step", "sync", "clip", "load_weights", "initial", "tensor_of"] {
        let wgsl = format!("{RIGHT}fn {name}(x: f32) -> f32 {{ return x; }}\n");
        let error = refuse(Broken::new(wgsl.leak()));
        let told = format!("redefinition of `{name}`");
        check(error, "Shader", &[&told, "no name of the driver's"]);
    }
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
    check(refuse(with("alias Hyper = f32;")), "Rule", &["no `struct Hyper`"]);
    let moved =
        refuse(Broken { hyper: vec![0.1; 2], ..with("struct Hyper { @size(16) lr: f32, momentum: f32 }") });
    check(moved, "Rule", &["`momentum`", "at byte 16", "byte 4"]);
    let full: String = (0..64).map(|index| format!("    h{index}: f32,\n")).collect();
    let full = with(&format!("struct Hyper {{\n{full}}}"));
    kernels::check(&Broken { hyper: vec![0.1; 64], ..full }).unwrap();
}
