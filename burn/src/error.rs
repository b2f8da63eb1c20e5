//! The error type of the crate.

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of range, or what `lookahead-wgpu` says.
    #[error(transparent)]
    Lookahead(#[from] lookahead_wgpu::Error),
}
