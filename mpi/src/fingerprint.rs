//! What must be the same on all ranks, as lines of text.

use std::fmt::Write;

use lookahead_wgpu::Optimizer;

use crate::{
    error::Error,
    settings::{Mode, Settings},
    timetable::Timetable,
};

/// The text of an optimizer and how it works with others.
pub(crate) fn fingerprint(optimizer: &Optimizer, settings: &Settings) -> Result<String, Error> {
    let Settings { mode, wire, verify, timetable: Timetable { period, fragments, overlap }, mixing, .. } =
        settings;
    let mut text = String::new();
    // Writing to a text does not fail.
    let mut line = |words: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    line(format_args!("lookahead-mpi {}", env!("CARGO_PKG_VERSION")));
    match mode {
        Mode::Local => line(format_args!("local steps, period {period}")),
        Mode::Gradients => line(format_args!("gradients")),
    }
    if *fragments > 1 || *overlap > 0 {
        line(format_args!("fragments {:?}, overlap {overlap}, mixing {mixing}", settings.fragments));
    }
    line(format_args!("wire {}", wire.name()));
    line(format_args!("verify {verify}"));
    for (name, shape) in optimizer.tensors() {
        line(format_args!("tensor `{name}` of shape {shape:?}"));
    }
    for group in optimizer.groups() {
        let rule = optimizer.rule(group)?;
        line(format_args!("group `{group}`: rule {} {:?}", rule.name(), rule.hyperparameters()));
        line(format_args!(
            "group `{group}`: learning rate {} x {}, {:?}, {:?}, frozen {}",
            optimizer.base_learning_rate(group)?,
            optimizer.learning_rate_factor(group)?,
            optimizer.weight_decay(group)?,
            optimizer.lookahead(group)?,
            optimizer.is_frozen(group)?,
        ));
    }
    // The options, the schedule and the steps so far.
    line(format_args!("{optimizer:?}"));
    Ok(text)
}

/// Refuses texts that differ from rank 0's.
pub(crate) fn check_alike(texts: &[String]) -> Result<(), Error> {
    for (rank, text) in texts.iter().enumerate() {
        let (mut expected, mut found) = (texts[0].lines(), text.lines());
        loop {
            match (expected.next(), found.next()) {
                (None, None) => break,
                (expected, found) if expected == found => {}
                (expected, found) => {
                    let named = |line: Option<&str>| line.unwrap_or("nothing more").to_owned();
                    return Err(Error::Differs { rank, expected: named(expected), found: named(found) });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_told() {
        let texts = |others: [&str; 3]| others.map(str::to_owned).to_vec();
        assert_eq!(check_alike(&texts(["a\nb"; 3])), Ok(()));
        let differs = |rank, expected: &str, found: &str| {
            let (expected, found) = (expected.to_owned(), found.to_owned());
            Err(Error::Differs { rank, expected, found })
        };
        assert_eq!(check_alike(&texts(["a\nb", "a\nb", "a\nc"])), differs(2, "b", "c"));
        assert_eq!(check_alike(&texts(["a\nb", "a", "a\nb"])), differs(1, "b", "nothing more"));
        assert_eq!(check_alike(&texts(["a", "a\nb", "a"])), differs(1, "nothing more", "b"));
    }
}
