//! The tables and the plots.

use serde::Serialize;
use theory::plot::{Axis, Colour, Figure, Mark, Series};

use crate::{
    digits::{self, Training},
    method::Method,
    quadratic::{self, Descent},
    time::{self, Time},
};

#[derive(Serialize)]
pub struct Report {
    pub adapter: String,
    pub k: u32,
    pub columns: u32,
    pub methods: Vec<Method>,
    pub quadratic: Vec<Descent>,
    pub times: Vec<Time>,
    pub digits: Vec<Training>,
}

impl Report {
    /// Tables that fit a terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}\nSGD, k = {}, Anderson acceleration of {} columns\n\n\
             Quadratic of {} coordinates, condition number {}, learning rate {}\n",
            self.adapter,
            self.k,
            self.columns,
            quadratic::COORDINATES,
            quadratic::CONDITION,
            quadratic::LEARNING_RATE
        );
        text += &format!(
            "{:16} {:>14} {:>17} {:>17} {:>13}\n",
            "", "steps to 1e-6", "loss, no noise", "loss with noise", "us a step"
        );
        for method in &self.methods {
            let [clean, noisy] = quadratic::NOISE.map(|noise| self.descent(method, noise));
            let steps = clean.and_then(|it| it.steps_to(1e-6)).map_or("-".to_owned(), |it| it.to_string());
            let loss = |it: Option<&Descent>| it.map_or("-".to_owned(), |it| format!("{:.3e}", it.last()));
            let time = self.times.iter().find(|time| time.method == method.name);
            let time = time.map_or("-".to_owned(), |time| format!("{:.1}", 1e6 * time.seconds));
            let (clean, noisy) = (loss(clean), loss(noisy));
            text += &format!("{:16} {steps:>14} {clean:>17} {noisy:>17} {time:>13}\n", method.name);
        }
        text += &format!(
            "losses are means of the last {} steps; the time is of {} values\n\n\
             Digits: {} epochs of batches of {}, learning rate {}\n{:16} {:>14} {:>17} {:>17} {:>13}\n",
            quadratic::STEPS / 5,
            time::VALUES,
            digits::EPOCHS,
            digits::BATCH,
            digits::LEARNING_RATE,
            "",
            "train loss",
            "test loss",
            "test accuracy",
            "seconds"
        );
        for it in &self.digits {
            let [train, test] =
                [&it.losses, &it.test_losses].map(|losses| losses.last().unwrap_or(&f64::NAN));
            let (accuracy, seconds) = (100.0 * it.accuracy, it.seconds);
            let name = it.method;
            text += &format!("{name:16} {train:>14.5} {test:>17.5} {accuracy:>15.2} % {seconds:>13.2}\n");
        }
        if !self.digits.is_empty() {
            text += "the first of them compiled the model's kernels\n";
        }
        text
    }

    fn descent(&self, method: &Method, noise: f64) -> Option<&Descent> {
        self.quadratic.iter().find(|it| it.method == method.name && it.noise == noise)
    }

    /// Loss by steps of the quadratics, and by epochs of the digits.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![self.quadratic_figure()];
        figures.extend((!self.digits.is_empty()).then(|| self.digits_figure()));
        figures
    }

    fn quadratic_figure(&self) -> Figure {
        let mut series = vec![];
        for method in &self.methods {
            for (noise, mark) in quadratic::NOISE.into_iter().zip([Mark::Line, Mark::Dashed]) {
                let Some(descent) = self.descent(method, noise) else { continue };
                let name = (noise == 0.0).then(|| method.name.to_owned());
                let points = descent.losses.iter().enumerate().map(|(step, loss)| (step as f64, *loss));
                series.push(Series { name, colour: method.colour, mark, points: points.collect() });
            }
        }
        let losses = self.quadratic.iter().flat_map(|it| it.losses.iter().copied());
        let least = losses.filter(|loss| *loss > 0.0).fold(f64::INFINITY, f64::min);
        Figure {
            name: "quadratic",
            x: Axis { description: "steps", range: 0.0..quadratic::STEPS as f64, is_logarithmic: false },
            y: Axis { description: "loss", range: least / 3.0..20.0, is_logarithmic: true },
            series,
            border: None,
            caption: vec![
                format!("SGD on a quadratic of condition number {}, k = {},", quadratic::CONDITION, self.k),
                format!("{} columns; dashed: with noise", self.columns),
            ],
        }
    }

    fn digits_figure(&self) -> Figure {
        let series = self.methods.iter().zip(&self.digits).map(|(method, training)| Series {
            name: Some(method.name.to_owned()),
            colour: method.colour,
            // Both regularisations may come to the same.
            mark: if method.colour == Colour::Third { Mark::Dashed } else { Mark::Line },
            points: (1..).map(f64::from).zip(training.losses.iter().copied()).collect(),
        });
        let losses =
            || self.digits.iter().flat_map(|it| it.losses.iter().copied()).filter(|it| it.is_finite());
        let (least, most) = (losses().fold(f64::INFINITY, f64::min), losses().fold(0.0, f64::max));
        Figure {
            name: "digits",
            x: Axis { description: "epoch", range: 1.0..f64::from(digits::EPOCHS), is_logarithmic: false },
            y: Axis { description: "training loss", range: least / 1.5..most * 1.5, is_logarithmic: true },
            series: series.collect(),
            border: None,
            caption: vec![format!("SGD on digits, k = {}, {} columns", self.k, self.columns)],
        }
    }
}
