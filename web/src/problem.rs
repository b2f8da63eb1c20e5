//! What is thrown: JavaScript's `Error`, with the library's message.

use js_sys::Reflect;
use lookahead_wgpu::{Error, foreign};
use wasm_bindgen::JsValue;

/// Something to throw.
#[derive(Debug)]
pub struct Problem {
    kind: String,
    message: String,
}

impl Problem {
    /// An argument that JavaScript got wrong before the library saw it.
    pub fn argument(message: impl Into<String>) -> Self {
        Self { kind: "Argument".to_owned(), message: message.into() }
    }
}

impl Problem {
    /// What the device refused.
    pub fn of_device(doing: &str, problem: foreign::Problem) -> Self {
        problem.during(doing).into()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        // `DeviceLost { doing: ... }`: the variant's name, for programs that tell them apart.
        let debug = format!("{error:?}");
        let kind = debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        Self { kind: kind.to_owned(), message: error.to_string() }
    }
}

impl From<Problem> for JsValue {
    fn from(problem: Problem) -> Self {
        let error = js_sys::Error::new(&problem.message);
        error.set_name("LookaheadError");
        // An object made here is not frozen.
        let _ = Reflect::set(&error, &"kind".into(), &problem.kind.into());
        error.into()
    }
}
