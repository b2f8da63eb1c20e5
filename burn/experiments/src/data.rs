//! Readers of data sets. They look for nothing on the network: each says which files it wants, and where.

pub mod bible;
pub mod cifar;
pub mod corpus;
pub mod error;
pub(crate) mod files;
pub mod help;
mod html;
pub mod idx;
pub mod imagenet;
pub mod images;
pub mod pairs;
pub mod penn;
pub mod picture;
pub mod split;
pub mod stream;
pub mod subwords;
pub mod tokens;
pub mod vocabulary;

pub use error::DataError;
