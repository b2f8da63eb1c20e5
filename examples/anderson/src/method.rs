//! What is compared.

use lookahead_wgpu::{Anderson, Builder, Lookahead};
use serde::Serialize;
use theory::plot::Colour;

/// A slow step around a rule, or none.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Method {
    pub name: &'static str,
    #[serde(skip)]
    pub colour: Colour,
    pub lookahead: Option<Lookahead>,
    pub anderson: Option<Anderson>,
}

impl Method {
    /// All, with cycles of so many steps and so many columns.
    pub fn all(k: u32, columns: u32) -> [Self; 4] {
        let lookahead = |alpha| Some(Lookahead::new(k, alpha));
        let anderson = |regularisation| Some(Anderson::new(columns).regularisation(regularisation));
        [
            Self { name: "rule alone", colour: Colour::Alone, lookahead: None, anderson: None },
            Self { name: "Lookahead", colour: Colour::Lookahead, lookahead: lookahead(0.5), anderson: None },
            Self {
                name: "Anderson, 1e-8",
                colour: Colour::Second,
                lookahead: lookahead(1.0),
                anderson: anderson(1e-8),
            },
            Self {
                name: "Anderson, 1e-2",
                colour: Colour::Third,
                lookahead: lookahead(1.0),
                anderson: anderson(1e-2),
            },
        ]
    }

    /// Builds with it.
    pub fn apply(&self, builder: Builder) -> Builder {
        let builder = match self.lookahead {
            Some(lookahead) => builder.lookahead(lookahead),
            None => builder,
        };
        match self.anderson {
            Some(anderson) => builder.anderson(anderson),
            None => builder,
        }
    }
}
