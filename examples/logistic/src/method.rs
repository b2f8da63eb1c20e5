//! The methods that are compared.

use lookahead_wgpu::{
    Builder, Lookahead, Optimizer,
    rules::{Katyusha, Sgd},
};
use theory::plot::Colour;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Sgd,
    Lookahead,
    Svrg,
    LookaheadOverSvrg,
    Katyusha,
}

impl Method {
    pub const ALL: [Self; 5] =
        [Self::Sgd, Self::Lookahead, Self::Svrg, Self::LookaheadOverSvrg, Self::Katyusha];

    /// In figure and table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::Lookahead => "Lookahead(SGD)",
            Self::Svrg => "SVRG",
            Self::LookaheadOverSvrg => "Lookahead(SVRG)",
            Self::Katyusha => "Katyusha",
        }
    }

    pub fn colour(self) -> Colour {
        match self {
            Self::Sgd => Colour::Alone,
            Self::Lookahead => Colour::Lookahead,
            Self::Svrg => Colour::Second,
            Self::LookaheadOverSvrg => Colour::Fast,
            Self::Katyusha => Colour::Third,
        }
    }

    /// Steps of a cycle. `steps`: those of a pass over the data.
    pub fn k(self, steps: u32) -> u32 {
        match self {
            Self::Sgd => 1,
            Self::Lookahead => 5,
            Self::Svrg | Self::LookaheadOverSvrg | Self::Katyusha => steps,
        }
    }

    /// The optimizer, at this learning rate, on a loss of this strong convexity.
    pub fn builder(self, rate: f64, sigma: f64, k: u32) -> Builder {
        if self == Self::Katyusha {
            // The paper's constants, of the smoothness 1/(3 rate).
            let rule = Katyusha::of((3.0 * rate).recip(), sigma, k);
            return Optimizer::builder(rule).lookahead(Lookahead::new(k, 1.0)).variance_reduced();
        }
        let builder = Optimizer::builder(Sgd::new(rate));
        match self {
            Self::Sgd => builder,
            Self::Lookahead => builder.lookahead(Lookahead::new(k, 0.5)),
            Self::Svrg | Self::Katyusha => builder.lookahead(Lookahead::new(k, 1.0)).variance_reduced(),
            Self::LookaheadOverSvrg => builder.lookahead(Lookahead::new(k, 0.5)).variance_reduced(),
        }
    }

    /// Gradients are taken at the slow weights, too.
    pub fn is_reduced(self) -> bool {
        !matches!(self, Self::Sgd | Self::Lookahead)
    }
}
