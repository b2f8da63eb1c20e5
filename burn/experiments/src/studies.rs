//! The paper's figures and tables: which runs each is made of.

use crate::run::method::{Averaging, Inner, Method};
use crate::run::record::{Pace, Run};

/// A figure or a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Study {
    /// Figure 1: accuracy on a plane through the fast weights of a cycle. Figure 10: within the inner loop.
    Inner,
    /// Figure 2: adaptive alpha.
    Adaptive,
    /// Figure 5 and table 1: images.
    Images,
    /// Figure 6 and table 2: more images, with a faster schedule for Lookahead.
    Schedule,
    /// Figure 7a and table 3: language.
    Language,
    /// Figure 7b and table 4: translation.
    Translation,
    /// Figure 8: robustness to the inner learning rate and momentum.
    Momentum,
    /// Figure 9: robustness to k and alpha.
    Cycle,
    /// Figure 13: robustness of translation to the learning rate.
    Rates,
}

/// The paper's size, or one for a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The paper's.
    Full,
    /// For a CPU: other data, other models, fewer epochs.
    Reduced,
}

const SGD: Inner = Inner::Sgd { momentum: 0.9 };
const PLAIN_SGD: Inner = Inner::Sgd { momentum: 0.0 };
const ADAM: Inner = Inner::Adam { beta2: 0.999, eps: 1e-8 };
/// Vaswani et al.'s.
const TRANSFORMER_ADAM: Inner = Inner::Adam { beta2: 0.98, eps: 1e-9 };

impl Study {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Inner,
        Self::Adaptive,
        Self::Images,
        Self::Schedule,
        Self::Language,
        Self::Translation,
        Self::Momentum,
        Self::Cycle,
        Self::Rates,
    ];

    /// The figures and tables that it makes, as the paper numbers them.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Inner => &["figure-1", "figure-10"],
            Self::Adaptive => &["figure-2"],
            Self::Images => &["figure-5", "table-1"],
            Self::Schedule => &["figure-6", "table-2"],
            Self::Language => &["figure-7a", "table-3"],
            Self::Translation => &["figure-7b", "table-4"],
            Self::Momentum => &["figure-8"],
            Self::Cycle => &["figure-9"],
            Self::Rates => &["figure-13"],
        }
    }

    /// By the name of a figure or table.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|study| study.names().contains(&name))
    }

    /// What it shows.
    pub fn title(self) -> &'static str {
        match self {
            Self::Inner => {
                "the inner loop: accuracy on the plane of a cycle, and after every fast step and sync"
            }
            Self::Adaptive => "fixed and adaptive alpha, at two learning rates",
            Self::Images => "convergence on images",
            Self::Schedule => "fewer epochs by a faster schedule",
            Self::Language => "convergence on language",
            Self::Translation => "convergence on translation",
            Self::Momentum => "robustness to the inner learning rate and momentum",
            Self::Cycle => "robustness to k and alpha",
            Self::Rates => "robustness to the learning rate on translation",
        }
    }

    /// Its runs, with so many seeds where it compares methods; grids and looks inside have one.
    pub fn runs(self, size: Size, seeds: u64) -> Vec<Run> {
        let is_full = size == Size::Full;
        let presets = self.presets(size);
        let mut runs = Vec::new();
        for &preset in presets {
            for (method, pace, epochs, probe) in self.methods(preset, is_full) {
                let seeds = if self.is_compared() { seeds.max(1) } else { 1 };
                runs.extend((1..=seeds).map(|seed| Run {
                    preset: preset.to_owned(),
                    method,
                    pace: pace.clone(),
                    epochs,
                    seed,
                    probe,
                }));
            }
        }
        runs
    }

    fn is_compared(self) -> bool {
        !matches!(self, Self::Inner | Self::Momentum | Self::Cycle | Self::Rates)
    }

    /// The presets that it runs.
    pub fn presets(self, size: Size) -> &'static [&'static str] {
        match (self, size) {
            (Self::Images, Size::Full) => &["cifar10", "cifar100"],
            (Self::Schedule, Size::Full) => &["imagenet", "imagenet-152"],
            (Self::Schedule, Size::Reduced) => &["fashion-mnist-bottleneck"],
            (Self::Language, Size::Full) => &["ptb"],
            (Self::Language, Size::Reduced) => &["bible"],
            (Self::Translation | Self::Rates, Size::Full) => &["wmt14"],
            (Self::Translation | Self::Rates, Size::Reduced) => &["libreoffice-help"],
            (Self::Inner, Size::Full) => &["cifar100"],
            (_, Size::Full) => &["cifar10"],
            (_, Size::Reduced) => &["fashion-mnist"],
        }
    }

    fn methods(self, preset: &str, is_full: bool) -> Vec<(Method, Pace, u32, Option<u32>)> {
        let pick = |full, reduced| if is_full { full } else { reduced };
        let divided = |after: &[u32], by| Pace::Divided { after: after.to_vec(), by };
        match self {
            Self::Images => {
                let pace = if is_full { divided(&[60, 120, 160], 5) } else { divided(&[3, 6, 8], 5) };
                let epochs = pick(200, 10);
                let sgd = Method::new(SGD, 0.1).decay(5e-4);
                let adamw = Method::new(Inner::AdamW, 3e-3).decay(1e-2);
                let adamw = if is_full { Method { rate: 3e-4, decay: 1.0, ..adamw } } else { adamw };
                let methods = [
                    sgd,
                    sgd.average(Averaging::Ema { decay: if is_full { 0.999 } else { 0.98 } }),
                    adamw,
                    sgd.lookahead(5, 0.8),
                    adamw.lookahead(5, 0.5),
                ];
                methods.map(|method| (method, pace.clone(), epochs, None)).to_vec()
            }
            Self::Schedule => {
                let sgd = Method::new(SGD, 0.1).decay(1e-4);
                let fast = match is_full {
                    true => divided(&[30, 48, 58], 10),
                    false => divided(&[4, 6, 7], 10),
                };
                let slow = if is_full { divided(&[30, 60], 10) } else { divided(&[4, 8], 10) };
                let mut methods = vec![(sgd.lookahead(5, 0.5), fast.clone(), pick(60, 8), None)];
                if preset != "imagenet-152" {
                    methods.push((sgd, slow, pick(90, 12), None));
                }
                methods
            }
            Self::Adaptive => {
                let epochs = pick(200, 4);
                let rates = if is_full { [1e-3, 1e-2] } else { [1e-3, 2e-2] };
                let adam = |rate| Method::new(ADAM, rate);
                let all =
                    rates.map(|rate| [adam(rate), adam(rate).lookahead(5, 0.5), adam(rate).adaptive(5, 0.2)]);
                all.concat().into_iter().map(|method| (method, Pace::Constant, epochs, None)).collect()
            }
            Self::Inner => {
                let epochs = pick(100, 6);
                let method = Method::new(SGD, 0.1).decay(5e-4).lookahead(pick(5, 10), 0.5);
                vec![(method, Pace::Constant, epochs, Some(pick(65, 6)))]
            }
            Self::Momentum => {
                let pace = if is_full { divided(&[60, 120, 160], 5) } else { Pace::Constant };
                let mut all = Vec::new();
                for rate in [0.01, 0.03, 0.1, 0.3] {
                    for momentum in [0.0, 0.5, 0.9] {
                        let sgd = Method::new(Inner::Sgd { momentum }, rate).decay(5e-4);
                        all.extend(
                            [sgd, sgd.lookahead(5, 0.5)].map(|it| (it, pace.clone(), pick(200, 3), None)),
                        );
                    }
                }
                all
            }
            Self::Cycle => {
                let pace = if is_full { divided(&[60, 120, 160], 5) } else { Pace::Constant };
                let mut all = Vec::new();
                for k in [5, 10, 20] {
                    for alpha in [0.2, 0.5, 0.8] {
                        let method = Method::new(SGD, 0.1).decay(5e-4).lookahead(k, alpha);
                        all.push((method, pace.clone(), pick(200, 3), None));
                    }
                }
                all
            }
            Self::Language => {
                let (epochs, decay) = (pick(750, 16), 1.2e-6);
                let sgd = Method::new(PLAIN_SGD, if is_full { 30.0 } else { 20.0 }).decay(decay).clip(0.25);
                let adam = Method::new(ADAM, if is_full { 1e-3 } else { 3e-3 }).decay(decay).clip(0.25);
                let asgd = sgd.average(Averaging::Triggered);
                let all = [sgd, adam, asgd].map(|it| [it, it.lookahead(5, 0.5)]).concat();
                all.into_iter().map(|method| (method, Pace::Constant, epochs, None)).collect()
            }
            Self::Translation => {
                let adam = Method::new(TRANSFORMER_ADAM, 1.0);
                let adafactor = Method::new(Inner::AdaFactor, if is_full { 10.0 } else { 3.0 });
                let all = [adam, adafactor, adam.lookahead(5, 0.5)];
                all.map(|it| (it, self.warmup(is_full), pick(20, 6), None)).to_vec()
            }
            Self::Rates => {
                let mut all = Vec::new();
                for rate in [0.5, 1.0, 2.0] {
                    let adam = Method::new(TRANSFORMER_ADAM, rate);
                    all.extend(
                        [adam, adam.lookahead(5, 0.5)]
                            .map(|it| (it, self.warmup(is_full), pick(20, 6), None)),
                    );
                }
                all
            }
        }
    }

    fn warmup(self, is_full: bool) -> Pace {
        if is_full {
            Pace::Warmup { width: 512, steps: 4_000 }
        } else {
            Pace::Warmup { width: 64, steps: 300 }
        }
    }
}
