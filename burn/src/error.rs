//! The error type of the crate.

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of range, or what `lookahead-wgpu` says.
    #[error(transparent)]
    Lookahead(#[from] lookahead_wgpu::Error),
    /// A parameter cannot be stepped where it lies.
    #[cfg(feature = "wgpu")]
    #[error("the parameter `{path}` {problem}")]
    Parameter {
        /// The parameter's path in the module.
        path: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Burn refused something.
    #[cfg(feature = "wgpu")]
    #[error("Burn: {0}")]
    Burn(String),
}
