//! What a WGSL text declares, read without a compiler: enough to hold a rule to its contract where no naga is
//! built in, and to say in plain words what is wrong where one is.

/// A word, a number or a sign, and its line from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Token<'a> {
    pub text: &'a str,
    pub line: u32,
}

/// The tokens of a text without its comments.
///
/// # Errors
///
/// The line at which a comment begins that is never closed.
pub(crate) fn tokens(wgsl: &str) -> Result<Vec<Token<'_>>, u32> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), wgsl, 1);
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest).ok_or(line)?
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("->") {
            2
        } else {
            first.len_utf8()
        };
        let (text, others) = rest.split_at(len);
        if !(first.is_whitespace() || text.starts_with("//") || text.starts_with("/*")) {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count() as u32;
        rest = others;
    }
    Ok(tokens)
}

/// The length of the comment at the start of `text`; such comments nest.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest.chars().next()?.len_utf8();
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Something that is declared at the level of the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declaration<'a> {
    /// `fn`, `struct`, `const`, `override`, `alias` or `var`.
    pub kind: &'a str,
    pub name: &'a str,
    pub line: u32,
    /// What follows the name, up to the last brace or the semicolon.
    pub rest: Vec<Token<'a>>,
}

/// A member of a struct or a parameter of a function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member<'a> {
    pub name: &'a str,
    /// As it is written, without spaces.
    pub ty: String,
    pub has_attributes: bool,
}

/// The declarations of a text, in their order.
pub(crate) fn declarations<'a>(tokens: &[Token<'a>]) -> Vec<Declaration<'a>> {
    let mut declarations = Vec::new();
    let mut at = 0;
    while let Some(&Token { text: kind, .. }) = tokens.get(at) {
        at += 1;
        if !["fn", "struct", "const", "override", "alias", "var"].contains(&kind) {
            continue;
        }
        if tokens.get(at).is_some_and(|token| token.text == "<") {
            at += tokens[at..].iter().position(|token| token.text == ">").map_or(1, |end| end + 1);
        }
        let Some(&Token { text: name, line }) = tokens.get(at) else { break };
        let rest = &tokens[at + 1..];
        let mut depth = 0;
        let end = rest.iter().position(|token| {
            match token.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            depth == 0 && matches!(token.text, "}" | ";")
        });
        let rest = &rest[..end.map_or(rest.len(), |end| end + 1)];
        at += 1 + rest.len();
        declarations.push(Declaration { kind, name, line, rest: rest.to_vec() });
    }
    declarations
}

impl<'a> Declaration<'a> {
    /// The members of a struct, or the parameters of a function.
    pub fn members(&self) -> Vec<Member<'a>> {
        let (open, close) = if self.kind == "fn" { ("(", ")") } else { ("{", "}") };
        let inside = self.rest.iter().skip_while(|token| token.text != open).skip(1);
        let (mut members, mut words, mut depth) = (Vec::new(), Vec::new(), 0);
        for &Token { text, .. } in inside {
            if depth == 0 && (text == close || text == ",") {
                members.extend(member(&std::mem::take(&mut words)));
                if text == close {
                    break;
                }
                continue;
            }
            match text {
                "(" | "<" | "[" => depth += 1,
                ")" | ">" | "]" => depth -= 1,
                _ => {}
            }
            words.push(text);
        }
        members
    }

    /// What a function returns, as it is written, without spaces; empty for nothing.
    pub fn returned(&self) -> String {
        let head = self.rest.iter().take_while(|token| token.text != "{");
        head.skip_while(|token| token.text != "->").skip(1).map(|token| token.text).collect()
    }
}

/// `@attribute(...) name: type`.
fn member<'a>(words: &[&'a str]) -> Option<Member<'a>> {
    let colon = words.iter().position(|word| *word == ":")?;
    let name = colon.checked_sub(1).map(|at| words[at])?;
    Some(Member { name, ty: words[colon + 1..].concat(), has_attributes: words.contains(&"@") })
}

/// The type that a written one stands for, in WGSL's short names: aliases of the text are followed.
pub(crate) fn resolved(ty: &str, declarations: &[Declaration<'_>]) -> String {
    let ty = followed(ty, declarations);
    let vector = ty.strip_prefix("vec").and_then(|rest| rest.strip_suffix('>')?.split_once('<'));
    match vector {
        Some((size, of)) if followed(of.trim_end_matches(','), declarations) == "f32" => {
            format!("vec{size}f")
        }
        _ => ty,
    }
}

/// What an alias stands for, if it is one; no further than there are aliases, which may go round.
fn followed(ty: &str, declarations: &[Declaration<'_>]) -> String {
    let mut ty = ty.to_owned();
    for _ in 0..declarations.len() {
        let alias = declarations.iter().find(|other| other.kind == "alias" && other.name == ty);
        let Some(alias) = alias else { break };
        ty = alias.rest.iter().map(|token| token.text).filter(|text| !matches!(*text, "=" | ";")).collect();
    }
    ty
}

/// WGSL's own functions. A rule cannot declare one of these names: the driver's code calls them.
pub const BUILTINS: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "all",
    "any",
    "arrayLength",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "atomicAdd",
    "atomicAnd",
    "atomicCompareExchangeWeak",
    "atomicExchange",
    "atomicLoad",
    "atomicMax",
    "atomicMin",
    "atomicOr",
    "atomicStore",
    "atomicSub",
    "atomicXor",
    "bitcast",
    "ceil",
    "clamp",
    "cos",
    "cosh",
    "countLeadingZeros",
    "countOneBits",
    "countTrailingZeros",
    "cross",
    "degrees",
    "determinant",
    "distance",
    "dot",
    "dot4I8Packed",
    "dot4U8Packed",
    "dpdx",
    "dpdxCoarse",
    "dpdxFine",
    "dpdy",
    "dpdyCoarse",
    "dpdyFine",
    "exp",
    "exp2",
    "extractBits",
    "faceForward",
    "firstLeadingBit",
    "firstTrailingBit",
    "floor",
    "fma",
    "fract",
    "frexp",
    "fwidth",
    "fwidthCoarse",
    "fwidthFine",
    "insertBits",
    "inverseSqrt",
    "ldexp",
    "length",
    "log",
    "log2",
    "max",
    "min",
    "mix",
    "modf",
    "normalize",
    "pack2x16float",
    "pack2x16snorm",
    "pack2x16unorm",
    "pack4x8snorm",
    "pack4x8unorm",
    "pack4xI8",
    "pack4xI8Clamp",
    "pack4xU8",
    "pack4xU8Clamp",
    "pow",
    "quadBroadcast",
    "quadSwapDiagonal",
    "quadSwapX",
    "quadSwapY",
    "quantizeToF16",
    "radians",
    "reflect",
    "refract",
    "reverseBits",
    "round",
    "saturate",
    "select",
    "sign",
    "sin",
    "sinh",
    "smoothstep",
    "sqrt",
    "step",
    "storageBarrier",
    "subgroupAdd",
    "subgroupAll",
    "subgroupAnd",
    "subgroupAny",
    "subgroupBallot",
    "subgroupBroadcast",
    "subgroupBroadcastFirst",
    "subgroupElect",
    "subgroupExclusiveAdd",
    "subgroupExclusiveMul",
    "subgroupInclusiveAdd",
    "subgroupInclusiveMul",
    "subgroupMax",
    "subgroupMin",
    "subgroupMul",
    "subgroupOr",
    "subgroupShuffle",
    "subgroupShuffleDown",
    "subgroupShuffleUp",
    "subgroupShuffleXor",
    "subgroupXor",
    "tan",
    "tanh",
    "textureBarrier",
    "textureDimensions",
    "textureGather",
    "textureGatherCompare",
    "textureLoad",
    "textureNumLayers",
    "textureNumLevels",
    "textureNumSamples",
    "textureSample",
    "textureSampleBaseClampToEdge",
    "textureSampleBias",
    "textureSampleCompare",
    "textureSampleCompareLevel",
    "textureSampleGrad",
    "textureSampleLevel",
    "textureStore",
    "transpose",
    "trunc",
    "unpack2x16float",
    "unpack2x16snorm",
    "unpack2x16unorm",
    "unpack4x8snorm",
    "unpack4x8unorm",
    "unpack4xI8",
    "unpack4xU8",
    "workgroupBarrier",
    "workgroupUniformLoad",
];

/// WGSL's own types, as far as kernels use them.
pub(crate) const TYPES: &[&str] = &[
    "array", "atomic", "bool", "f16", "f32", "i32", "mat2x4", "mat2x4f", "ptr", "u32", "vec2", "vec2f",
    "vec2i", "vec2u", "vec3", "vec3f", "vec3i", "vec3u", "vec4", "vec4f", "vec4i", "vec4u",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_between_comments() {
        let wgsl = "/* fn a() {} /* nested */ */ // fn b() {}\n\
                    struct Hyper { @size(8) lr: f32, // rate\n  betas : vec2<f32>, table: array<vec4<f32>, 2> }\n\
                    alias Four = vec4 < f32 >;\nvar<private> kept: array<f32, 3>;\nconst X = 1;\n\
                    @must_use fn update(w: Four, g: vec4f) -> Four { if true { let y = 1; } return w; }\n\
                    fn nothing() {}";
        let tokens = tokens(wgsl).unwrap();
        let all = declarations(&tokens);
        let found: Vec<_> = all.iter().map(|found| (found.kind, found.name, found.line)).collect();
        let due = [
            ("struct", "Hyper", 2),
            ("alias", "Four", 4),
            ("var", "kept", 5),
            ("const", "X", 6),
            ("fn", "update", 7),
            ("fn", "nothing", 8),
        ];
        assert_eq!(found, due);
        let member = |name, ty: &str, has_attributes| Member { name, ty: ty.to_owned(), has_attributes };
        let hyper = [
            member("lr", "f32", true),
            member("betas", "vec2<f32>", false),
            member("table", "array<vec4<f32>,2>", false),
        ];
        assert_eq!(all[0].members(), hyper);
        assert_eq!(all[4].members(), [member("w", "Four", false), member("g", "vec4f", false)]);
        assert_eq!((all[4].returned(), all[5].returned()), ("Four".to_owned(), String::new()));
        assert_eq!((resolved("Four", &all), resolved("f32", &all)), ("vec4f".to_owned(), "f32".to_owned()));
        assert_eq!(
            (resolved("vec2<f32,>", &all), resolved("vec4<Four>", &all)),
            ("vec2f".into(), "vec4<Four>".into())
        );
    }

    #[test]
    fn texts_that_are_cut_off_are_read_as_far_as_they_go() {
        assert_eq!(tokens("\n\n/* never /* closed */"), Err(3));
        let whole =
            "struct Hyper { lr: f32 }\nvar<private> x: f32;\nfn update(w: vec4f) -> vec4f { return w; }";
        for end in 0..whole.len() {
            let tokens = tokens(&whole[..end]).unwrap();
            for declaration in declarations(&tokens) {
                let _ = (declaration.members(), declaration.returned());
            }
        }
    }
}
