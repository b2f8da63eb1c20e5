//! Whose text is wrong, and the error that says so.

use crate::error::Error;

/// Whose a text is, in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// A rule or an outer step.
    Rule,
    Transform,
}

impl Author {
    /// Of what does not keep its contract.
    pub fn broken(self, name: &str, problem: String) -> Error {
        let name = name.to_owned();
        match self {
            Self::Rule => Error::Rule { rule: name, problem },
            Self::Transform => Error::Transform { name, problem },
        }
    }

    /// Refuses coefficients that are not finite.
    pub fn check_finite(self, name: &str, coefficients: [f32; 4]) -> Result<(), Error> {
        if coefficients.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        Err(self.broken(name, format!("gives the coefficients {coefficients:?}, which must be finite")))
    }

    /// Of a text that is wrong at this line.
    pub fn wrong(self, name: &str, line: u32, message: String) -> Error {
        match self {
            Self::Rule => Error::Shader { rule: name.to_owned(), line, message },
            Self::Transform => self.broken(name, format!("has WGSL that is wrong at line {line}: {message}")),
        }
    }
}
