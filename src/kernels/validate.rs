//! naga's view of a rule or a transformation, in plain words.

use naga::{
    Expression, Function, Handle, Module, Scalar, ScalarKind, TypeInner, VectorSize,
    front::Typifier,
    proc::ResolveContext,
    valid::{self, CallError, ExpressionError, FunctionError, ValidationError},
};

use super::{
    author::Author,
    compose,
    spec::{Access, Measure, Recipe, Source, Tensors, Width},
};
use crate::{
    config::{
        clip::Clip,
        lookahead::{Lookahead, StatePolicy},
        options::Options,
        shape::Shape,
        transform::Transform,
    },
    error::Error,
    rules::Rule,
};

/// Checks a rule between the parts that have the most names, in either way in.
pub fn check(rule: &dyn Rule) -> Result<(), Error> {
    [Access::Owned, Access::Borrowed(Width::Value)]
        .into_iter()
        .try_for_each(|access| check_with(rule, access))
}

fn check_with(rule: &dyn Rule, access: Access) -> Result<(), Error> {
    let policy = if rule.anchored() { StatePolicy::Maintain } else { StatePolicy::Interpolate };
    let lookahead = Lookahead::default().policy(policy);
    let options = Options { clip: Clip::TensorNorm(1.0), ..Options::default() };
    let recipe = Recipe {
        rule,
        lookahead: Some(&lookahead),
        options: &options,
        access,
        shape: Shape::default(),
        tensors: Tensors::default(),
    };
    let error = |(line, message)| Author::Rule.wrong(rule.name(), line, message);
    let check = |source: Source| check_text(rule.name(), rule.wgsl(), &source.wgsl).map_err(error);
    check(recipe.step())?;
    match rule.trust() {
        Some(_) => check(recipe.partial(Measure::Trust)),
        None => Ok(()),
    }
}

/// Checks a transformation with what it may use, and a call of it.
pub fn check_transform(transform: &dyn Transform) -> Result<(), Error> {
    let (name, wgsl) = (transform.name(), transform.wgsl());
    let source = format!("{wgsl}\n{}", compose::around_transform(transform));
    check_text(name, wgsl, &source).map_err(|(line, message)| Author::Transform.wrong(name, line, message))
}

/// Checks a source that begins with the text of somebody with this name; what is wrong, and in which line.
fn check_text(name: &str, text: &str, source: &str) -> Result<(), (u32, String)> {
    let lines = text.lines().count();
    let error = |line: Option<u32>, message: &str| {
        let line = line.unwrap_or(0);
        let mut message = message.trim_end().to_owned();
        if line as usize > lines {
            message +=
                &format!("\n(the text of `{name}` ends at line {lines}: it breaks what comes after it)");
        }
        (line, message)
    };
    let module = naga::front::wgsl::parse_str(source).map_err(|problem| {
        let line = problem.location(source).map(|at| at.line_number);
        error(line, &without_handles(&problem.emit_to_string_with_path(source, name)))
    })?;
    let mut validator = valid::Validator::new(
        valid::ValidationFlags::all(),
        // `quantizeToF16`, which the device may have.
        valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    );
    validator.validate(&module).map(|_| ()).map_err(|problem| {
        // A whole function and what is wrong in it: the latter is the shortest.
        let spans = problem.spans().map(|(span, _)| span);
        let shortest = spans.min_by_key(|span| span.to_range().map_or(usize::MAX, |range| range.len()));
        let shortest = argument(&module, problem.as_inner()).or(shortest.copied());
        let line = shortest.map(|span| span.location(source).line_number);
        match plain(&module, problem.as_inner()) {
            Some(plain) => {
                let quoted = line.and_then(|line| source.lines().nth(line.saturating_sub(1) as usize));
                error(line, &format!("{plain}\n{}", quoted.unwrap_or_default()))
            }
            None => error(line, &without_handles(&problem.emit_to_string_with_path(source, name))),
        }
    })
}

/// Where the argument is that a function cannot be given: of a call naga tells no place.
fn argument(module: &Module, problem: &ValidationError) -> Option<naga::Span> {
    let ValidationError::Function { handle, source, .. } = problem else { return None };
    let FunctionError::InvalidCall { error: CallError::ArgumentType { seen_expression, .. }, .. } = source
    else {
        return None;
    };
    let span = module.functions.try_get(*handle).ok()?.expressions.get_span(*seen_expression);
    span.is_defined().then_some(span)
}

/// What is wrong with a function, if it is something that rules get wrong: types, mostly.
fn plain(module: &Module, problem: &ValidationError) -> Option<String> {
    let ValidationError::Function { handle, source, .. } = problem else { return None };
    let types = Types::new(module, module.functions.try_get(*handle).ok()?);
    Some(match source {
        FunctionError::InvalidReturnType { expression, expected_ty } => {
            let found = expression.map_or("nothing".to_owned(), |expression| types.of(expression));
            let expected = expected_ty.map_or("nothing".to_owned(), |ty| types.name(&module.types[ty].inner));
            differs(&found, &expected, "what is returned")
        }
        FunctionError::InvalidStoreTypes { pointer, value } => {
            differs(&types.of(*value), &types.of(*pointer), "what is stored")
        }
        FunctionError::InvalidIfType(condition) => differs(&types.of(*condition), "bool", "the condition"),
        FunctionError::InvalidCall { function, error } => {
            let callee = module.functions[*function].name.clone().unwrap_or_default();
            match error {
                CallError::ArgumentCount { required, seen } => {
                    format!("`{callee}` takes {required} arguments, and is given {seen}")
                }
                CallError::ArgumentType { index, required, seen_expression } => {
                    let expected = types.name(&module.types[*required].inner);
                    let what = format!("argument {} of `{callee}`", index + 1);
                    differs(&types.of(*seen_expression), &expected, &what)
                }
                _ => return None,
            }
        }
        FunctionError::Expression { source, .. } => match source {
            ExpressionError::InvalidBinaryOperandTypes { op, lhs_type, rhs_type, .. } => {
                let (left, right) = (types.name(lhs_type), types.name(rhs_type));
                format!("the types are {left} and {right}, which do not go together ({op:?})")
            }
            ExpressionError::SelectValuesTypeMismatch { accept, reject } => {
                differs(&types.name(accept), &types.name(reject), "the second value of `select`")
            }
            ExpressionError::SelectConditionNotABool { actual } => {
                differs(&types.name(actual), "bool", "the condition of `select`")
            }
            ExpressionError::IndexOutOfBounds(base, index) => {
                format!("the index {index} is out of range; what is indexed is {}", types.of(*base))
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn differs(found: &str, expected: &str, what: &str) -> String {
    format!("the type is {found}, expected {expected} ({what})")
}

/// The types of a function's expressions.
struct Types<'a> {
    module: &'a Module,
    typifier: Typifier,
    resolved: usize,
}

impl<'a> Types<'a> {
    fn new(module: &'a Module, function: &Function) -> Self {
        let context = ResolveContext::with_locals(module, &function.local_variables, &function.arguments);
        let (mut typifier, mut resolved) = (Typifier::new(), 0);
        for (expression, _) in function.expressions.iter() {
            if typifier.grow(expression, &function.expressions, &context).is_err() {
                break;
            }
            resolved += 1;
        }
        Self { module, typifier, resolved }
    }

    fn of(&self, expression: Handle<Expression>) -> String {
        if expression.index() >= self.resolved {
            return "another".to_owned();
        }
        self.name(self.typifier.get(expression, &self.module.types))
    }

    /// A type's name in WGSL.
    fn name(&self, inner: &TypeInner) -> String {
        let size = |size: VectorSize| size as u8;
        match inner {
            TypeInner::Scalar(scalar) => scalar_name(*scalar).to_owned(),
            TypeInner::Vector { size: count, scalar }
            | TypeInner::ValuePointer { size: Some(count), scalar, .. } => {
                let scalar = scalar_name(*scalar);
                match scalar {
                    "f32" | "i32" | "u32" => format!("vec{}{}", size(*count), &scalar[..1]),
                    _ => format!("vec{}<{scalar}>", size(*count)),
                }
            }
            TypeInner::ValuePointer { size: None, scalar, .. } => scalar_name(*scalar).to_owned(),
            TypeInner::Matrix { columns, rows, .. } => format!("mat{}x{}f", size(*columns), size(*rows)),
            TypeInner::Pointer { base, .. } => self.name(&self.module.types[*base].inner),
            TypeInner::Array { base, .. } => {
                format!("an array of {}", self.name(&self.module.types[*base].inner))
            }
            other => {
                let named = self.module.types.iter().find(|(_, ty)| ty.inner == *other);
                named.and_then(|(_, ty)| ty.name.clone()).unwrap_or_else(|| "another".to_owned())
            }
        }
    }
}

fn scalar_name(scalar: Scalar) -> &'static str {
    match (scalar.kind, scalar.width) {
        (ScalarKind::Float, 2) => "f16",
        (ScalarKind::Float | ScalarKind::AbstractFloat, _) => "f32",
        (ScalarKind::Sint | ScalarKind::AbstractInt, _) => "i32",
        (ScalarKind::Uint, _) => "u32",
        (ScalarKind::Bool, _) => "bool",
    }
}

/// naga's message without its numbers of expressions and types: ` [16]`, ` Some([16])`.
fn without_handles(message: &str) -> String {
    let mut kept = String::new();
    let mut rest = message;
    while let Some(at) = rest.find(" [").into_iter().chain(rest.find(" Some([")).min() {
        let (before, found) = rest.split_at(at);
        let inside = found.trim_start_matches(" Some(").trim_start_matches(" [").trim_start_matches('[');
        let digits = inside.chars().take_while(char::is_ascii_digit).count();
        let after = inside.get(digits..).and_then(|after| after.strip_prefix(']'));
        kept += before;
        match after.filter(|_| digits > 0) {
            Some(after) => {
                rest = after.strip_prefix(')').filter(|_| found.starts_with(" Some(")).unwrap_or(after)
            }
            None => {
                kept += &found[..2];
                rest = &found[2..];
            }
        }
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::without_handles;

    #[test]
    fn numbers_of_expressions_are_left_out() {
        let message = "The `return` expression Some([16]) does not match [2]; v[3], a [x], Some(y) and [";
        let plain = "The `return` expression does not match; v[3], a [x], Some(y) and [";
        assert_eq!(without_handles(message), plain);
    }
}
