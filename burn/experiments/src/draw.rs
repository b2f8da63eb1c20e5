//! Figures, tables and files from runs that are over.
//!
//! Each figure is made from records and comes as a [`Picture`], which [`files::figure`] writes as PNG and
//! SVG.

mod axis;
mod colour;
mod colour_bar;
mod contour;
pub mod curves;
mod error;
pub mod files;
mod frame;
pub mod grid;
mod group;
pub mod inner_loop;
mod legend;
mod measure;
mod picture;
pub mod plane;
mod spread;
pub mod table;

pub use error::DrawError;
pub use group::{Group, by_method};
pub use measure::{Measure, Quantity, Scale};
pub use picture::Picture;
pub use spread::Spread;
