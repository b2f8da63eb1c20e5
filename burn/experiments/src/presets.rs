//! Data, model and settings under one name: the paper's, and reduced ones that run on a CPU in minutes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::data::bible::{Bible, KING_JAMES};
use crate::data::cifar::{self, CIFAR_10, CIFAR_100};
use crate::data::corpus::Corpus;
use crate::data::pairs::Pairs;
use crate::data::penn::PENN_TREEBANK;
use crate::data::split::Parts;
use crate::data::{DataError, files, help, idx, imagenet};
use crate::models::block::{Kind, Shortcut};
use crate::models::lstm::LanguageModelConfig;
use crate::models::resnet::{ResNetConfig, Stem};
use crate::models::transformer::TransformerConfig;
use crate::run::record::{Record, Run};
use crate::tasks::images::{self, ImageTask};
use crate::tasks::language::{self, LanguageTask};
use crate::tasks::pictures::PictureTask;
use crate::tasks::translation::{self, Translation};
use crate::train::report::Event;
use crate::train::{Place, Settings, TrainError, train};

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Which section of the paper it is of, and what it trains on what.
    pub about: &'static str,
    /// What `--data` is to be.
    pub data: &'static str,
    /// What is measured beside the loss.
    pub measure: Measure,
    kind: What,
}

/// What is measured beside the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Correctly classified images, in %.
    Accuracy,
    /// The exponential of the loss.
    Perplexity,
    /// BLEU.
    Bleu,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Cifar10,
    Cifar100,
    ImageNet50,
    ImageNet152,
    Penn,
    Wmt,
    Fashion,
    FashionBottleneck,
    Bible,
    Help,
}

const fn preset(
    name: &'static str,
    about: &'static str,
    data: &'static str,
    measure: Measure,
    kind: What,
) -> Preset {
    Preset { name, about, data, measure, kind }
}

/// All presets.
pub const ALL: [Preset; 10] = [
    preset(
        "cifar10",
        "5.1, 5.5: ResNet-18 on CIFAR-10, batches of 128, moved and mirrored",
        "the folder of CIFAR-10's binary version",
        Measure::Accuracy,
        What::Cifar10,
    ),
    preset(
        "cifar100",
        "5.1: ResNet-18 on CIFAR-100",
        "the folder of CIFAR-100's binary version",
        Measure::Accuracy,
        What::Cifar100,
    ),
    preset(
        "imagenet",
        "5.2: ResNet-50 on ImageNet, batches of 256",
        "the folder that has train/CLASS/*.JPEG and val/CLASS/*.JPEG",
        Measure::Accuracy,
        What::ImageNet50,
    ),
    preset(
        "imagenet-152",
        "5.2: ResNet-152 on ImageNet",
        "as of `imagenet`",
        Measure::Accuracy,
        What::ImageNet152,
    ),
    preset(
        "ptb",
        "5.3: AWD-LSTM on the Penn Treebank, 80 columns of 70 words",
        "the folder of ptb.train.txt, ptb.valid.txt and ptb.test.txt",
        Measure::Perplexity,
        What::Penn,
    ),
    preset(
        "wmt14",
        "5.4: the base Transformer on WMT14, English to German, 37,000 sub-words",
        "the folder of train.en, train.de, valid.en, valid.de, test.en and test.de",
        Measure::Bleu,
        What::Wmt,
    ),
    preset(
        "fashion-mnist",
        "reduced 5.1, 5.5: ResNet-8 on 8,000 images of Fashion-MNIST in 14 x 14 pixels",
        "Fashion-MNIST's folder; by default that of Debian's dataset-fashion-mnist",
        Measure::Accuracy,
        What::Fashion,
    ),
    preset(
        "fashion-mnist-bottleneck",
        "reduced 5.2: a residual network of ResNet-50's blocks on the same images",
        "as of `fashion-mnist`",
        Measure::Accuracy,
        What::FashionBottleneck,
    ),
    preset(
        "bible",
        "reduced 5.3: AWD-LSTM of 2 layers on 50,000 words of the King James Bible",
        "what `bible -f Gen1:1-Rev22:21` prints, as a file; by default it is run (Debian's bible-kjv)",
        Measure::Perplexity,
        What::Bible,
    ),
    preset(
        "libreoffice-help",
        "reduced 5.4: a Transformer of 2 layers on short paragraphs of LibreOffice's help, English to German",
        "the folder of en-US and de; by default that of Debian's libreoffice-help-en-us and -de",
        Measure::Bleu,
        What::Help,
    ),
];

/// Of the text, that many of its first words are trained on, and a quarter as many each are for choosing and testing.
const BIBLE_WORDS: usize = 50_000;

impl Preset {
    /// By its name.
    pub fn find(name: &str) -> Option<Self> {
        ALL.into_iter().find(|preset| preset.name == name)
    }

    /// Runs it, or goes on with it.
    ///
    /// # Errors
    ///
    /// [`TrainError`], the data's among them.
    pub fn train(
        self,
        data: Option<&Path>,
        settings: Settings,
        place: Place,
        observe: &mut dyn FnMut(Event),
    ) -> Result<Record, TrainError> {
        let Run { seed, .. } = settings.run;
        match self.kind {
            What::Cifar10 => train(cifar(&CIFAR_10, self.folder(data, "")?, seed)?, settings, place, observe),
            What::Cifar100 => {
                train(cifar(&CIFAR_100, self.folder(data, "")?, seed)?, settings, place, observe)
            }
            What::ImageNet50 | What::ImageNet152 => {
                let listing = imagenet::list(self.folder(data, "")?)?;
                let classes = listing.classes.len();
                let network = match self.kind {
                    What::ImageNet50 => ResNetConfig::imagenet_50(classes),
                    _ => ResNetConfig::imagenet_152(classes),
                };
                train(PictureTask::new(listing, network, 256, seed)?, settings, place, observe)
            }
            What::Penn => {
                let corpus = PENN_TREEBANK.read(self.folder(data, "")?)?;
                let model = LanguageModelConfig::penn_treebank(corpus.vocabulary.len());
                let reading = language::Settings { batch: 80, length: 70, activation: 2.0, temporal: 1.0 };
                train(LanguageTask::new(&corpus, model, reading)?, settings, place, observe)
            }
            What::Wmt | What::Help => train(self.translation(data, seed)?, settings, place, observe),
            What::Fashion | What::FashionBottleneck => {
                let set = idx::read(self.folder(data, "/usr/share/datasets/fashion-mnist")?)?;
                let base = ResNetConfig { channels: 1, ..ResNetConfig::cifar_32(set.classes) };
                let network = match self.kind {
                    What::Fashion => ResNetConfig { depths: vec![1, 1, 1], ..base },
                    _ => ResNetConfig {
                        kind: Kind::Bottleneck,
                        shortcut: Shortcut::Projected,
                        stem: Stem::Cifar,
                        width: 8,
                        depths: vec![1, 1, 1],
                        ..base
                    },
                };
                let batches = images::Settings { batch: 128, valid: 2_000, augment: None, seed };
                train(ImageTask::new(set.reduced(10_000, 2_000), network, batches)?, settings, place, observe)
            }
            What::Bible => {
                let corpus = bible(data)?;
                let model = LanguageModelConfig {
                    features: 64,
                    units: 128,
                    layers: 2,
                    word_dropout: 0.05,
                    input_dropout: 0.2,
                    layer_dropout: 0.1,
                    output_dropout: 0.2,
                    weight_dropout: 0.2,
                    ..LanguageModelConfig::penn_treebank(corpus.vocabulary.len())
                };
                let reading = language::Settings { batch: 20, length: 35, activation: 2.0, temporal: 1.0 };
                train(LanguageTask::new(&corpus, model, reading)?, settings, place, observe)
            }
        }
    }

    fn translation(self, data: Option<&Path>, seed: u64) -> Result<Translation, DataError> {
        let (parts, words, longest, batch, model) = match self.kind {
            What::Wmt => {
                let folder = self.folder(data, "")?;
                let part = |name: &str| {
                    let [source, target] =
                        ["en", "de"].map(|language| folder.join(format!("{name}.{language}")));
                    Pairs::open(&source, &target)?.collect::<Result<Vec<_>, _>>()
                };
                let parts = Parts { train: part("train")?, valid: part("valid")?, test: part("test")? };
                (parts, 37_000, 256, 512, TransformerConfig::base(37_000))
            }
            _ => {
                let folder = self.folder(data, "/usr/share/libreoffice/help")?;
                let pairs = help::pairs(&folder.join("en-US"), &folder.join("de"))?;
                let base = TransformerConfig::base(2_000);
                let model = TransformerConfig { features: 64, inner: 256, heads: 4, layers: 2, ..base };
                (Parts::by_source(pairs, 40), 2_000, 16, 64, model)
            }
        };
        let settings = translation::Settings { words, longest, batch, smoothing: 0.1, beam: 4, model, seed };
        Translation::new(parts, settings)
    }

    fn folder<'a>(&self, data: Option<&'a Path>, default: &'static str) -> Result<&'a Path, DataError> {
        match data {
            Some(folder) => Ok(folder),
            None if !default.is_empty() => Ok(Path::new(default)),
            None => Err(DataError::Missing {
                folder: "the command line".to_owned(),
                names: vec!["--data".to_owned()],
                advice: format!("give {}", self.data),
            }),
        }
    }
}

fn cifar(format: &cifar::Format, folder: &Path, seed: u64) -> Result<ImageTask, DataError> {
    let set = format.read(folder)?;
    let network = ResNetConfig::cifar_18(set.classes);
    let batches = images::Settings { batch: 128, valid: 5_000, augment: Some(4), seed };
    ImageTask::new(set, network, batches)
}

fn bible(data: Option<&Path>) -> Result<Corpus, DataError> {
    let format = Bible { words: 2_000, ..KING_JAMES };
    let mut corpus = match data {
        Some(file) => format.read(file)?,
        None => {
            let printed = Command::new("bible").args(["-f", "Gen1:1-Rev22:21"]).output();
            let missing = |reason: String| DataError::Missing {
                folder: "PATH".to_owned(),
                names: vec!["bible".to_owned()],
                advice: format!("install Debian's bible-kjv, or give its text by --data ({reason})"),
            };
            let printed = printed.map_err(|problem| missing(problem.to_string()))?;
            let file = tempfile::NamedTempFile::new().and_then(|file| {
                std::fs::write(file.path(), &printed.stdout)?;
                Ok(file)
            });
            let file =
                file.map_err(|problem| files::unreadable(&PathBuf::from("a temporary file"), &problem))?;
            format.read(file.path())?
        }
    };
    corpus.train.truncate(BIBLE_WORDS);
    corpus.valid.truncate(BIBLE_WORDS / 4);
    corpus.test.truncate(BIBLE_WORDS / 4);
    Ok(corpus)
}
