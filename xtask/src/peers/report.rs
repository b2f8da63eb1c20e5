//! Everything that was measured, as Markdown and as JSON.

use std::fmt::Display;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::peers::busy::{self, WIDE};
use crate::peers::group::{Group, OURS, RESNET50, Row};
use crate::peers::load::Load;

pub struct Report {
    commit: String,
    date: String,
    load: Load,
    pub groups: Vec<Group>,
    /// What makes figures doubtful.
    warnings: Vec<String>,
    /// Parts that were not measured, and why.
    failures: Vec<(String, String)>,
}

impl Report {
    pub fn new(commit: String, load: Load) -> Self {
        let date = OffsetDateTime::now_utc().date().to_string();
        let warnings = load.warning().into_iter().collect();
        Self { commit, date, load, groups: vec![], warnings, failures: vec![] }
    }

    /// Keeps why a part was not measured.
    pub fn fail(&mut self, part: &str, error: impl Display) {
        self.failures.push((part.to_owned(), error.to_string()));
    }

    /// The parts that were not measured.
    pub fn failed(&self) -> String {
        self.failures.iter().map(|(part, _)| part.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Keeps that the machine was busy before a part.
    pub fn note_business(&mut self, part: &str, share: Option<f64>) {
        self.warnings.extend(share.and_then(|share| busy::warning(part, share)));
    }

    /// Sets PyTorch's times beside this library's where both stepped the same tensors.
    pub fn compare_pytorch(&mut self) {
        let same = |group: &&Group| group.name == "native" && group.parameters == RESNET50;
        let Some(native) = self.groups.iter().find(same).cloned() else { return };
        for row in
            self.groups.iter_mut().filter(|group| group.name == "PyTorch").flat_map(|group| &mut group.rows)
        {
            row.ratio = native.ours(&row.optimizer).map(|ours| row.ms / ours);
        }
    }

    /// The warnings, with those on spreads.
    fn warnings(&self) -> Vec<String> {
        let wide = |group: &Group| {
            let spreads = group.rows.iter().flat_map(|row| [Some(row.spread), row.ratio_spread]).flatten();
            let widest = spreads.fold(0.0, f64::max);
            (widest > WIDE).then(|| {
                format!(
                    "{}: a spread of {:.0} %, where {:.0} % is the most of a quiet machine: measure again",
                    group.name,
                    100.0 * widest,
                    100.0 * WIDE
                )
            })
        };
        self.warnings.iter().cloned().chain(self.groups.iter().filter_map(wide)).collect()
    }

    /// A table a group, with what must be said beside figures.
    pub fn markdown(&self) -> String {
        let Self { commit, date, load, .. } = self;
        let minute = load.minute.map_or("unknown".to_owned(), |minute| format!("{minute:.2}"));
        let mut text =
            format!("Commit {commit}, {date}, {} cores, a load of {minute} at the start.\n", load.cores);
        for warning in self.warnings() {
            text += &format!("\n**BUSY:** {warning}.\n");
        }
        for (part, error) in &self.failures {
            text += &format!("\n**NOT MEASURED:** {part}: {error}\n");
        }
        for group in &self.groups {
            text += &table(group);
        }
        text
    }

    pub fn json(&self) -> String {
        let failures = self.failures.iter().map(|(part, error)| json!({"part": part, "error": error}));
        let report = json!({
            "commit": self.commit,
            "date": self.date,
            "load": self.load.minute,
            "cores": self.load.cores,
            "warnings": self.warnings(),
            "failures": failures.collect::<Vec<_>>(),
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

fn table(group: &Group) -> String {
    let Group { name, adapter, driver, count, rows, .. } = group;
    let parameters = thousands(group.parameters);
    let in_turn = match rows.iter().any(|row| row.ratio_spread.is_some()) {
        true => "samples taken in turn",
        false => "one after the other",
    };
    let mut text = format!(
        "\n### {name}: {adapter}, {driver}\n\n{count} tensors, {parameters} parameters, {in_turn}.\n\n\
         | optimizer | peer | ms a step | GB/s | over {OURS} | spread | spread of the ratio |\n\
         |---|---|---|---|---|---|---|\n"
    );
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    for row in rows {
        let Row { optimizer, peer, ms, gb_per_s, .. } = row;
        let ratio = row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let ratio_spread = row.ratio_spread.map_or("-".to_owned(), percent);
        let spread = percent(row.spread);
        text += &format!(
            "| {optimizer} | {peer} | {ms:.3} | {gb_per_s:.1} | {ratio} | {spread} | {ratio_spread} |\n"
        );
    }
    text
}

fn group(group: &Group) -> Value {
    let row = |row: &Row| {
        json!({
            "optimizer": row.optimizer,
            "peer": row.peer,
            "ms": row.ms,
            "gb_per_s": row.gb_per_s,
            "ratio": row.ratio,
            "spread": row.spread,
            "ratio_spread": row.ratio_spread,
            "samples": row.samples,
        })
    };
    json!({
        "name": group.name,
        "adapter": group.adapter,
        "driver": group.driver,
        "tensors": group.count,
        "parameters": group.parameters,
        "rows": group.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    let parts = digits.char_indices().map(|(place, digit)| match comma(place) {
        true => format!(",{digit}"),
        false => digit.to_string(),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: &str, ms: f64, spread: f64, ratio: Option<f64>) -> Row {
        let (optimizer, peer) = ("Adam".to_owned(), peer.to_owned());
        Row {
            optimizer,
            peer,
            ms,
            spread,
            gb_per_s: 10.0,
            ratio,
            ratio_spread: ratio.map(|_| 0.01),
            samples: 3,
        }
    }

    fn report() -> Report {
        let native = Group {
            name: "native",
            adapter: "llvmpipe (vulkan)".to_owned(),
            driver: "Mesa".to_owned(),
            count: 161,
            parameters: RESNET50,
            rows: vec![row(OURS, 2.0, 0.04, Some(1.0)), row("Burn", 5.0, 0.02, Some(2.5))],
        };
        let pytorch =
            Group { name: "PyTorch", rows: vec![row("PyTorch, loop", 3.0, 0.2, None)], ..native.clone() };
        let load = Load { minute: Some(0.25), cores: 2 };
        Report { groups: vec![native, pytorch], ..Report::new("abc-dirty".to_owned(), load) }
    }

    #[test]
    fn there_is_a_table_a_group() {
        let mut report = report();
        report.compare_pytorch();
        let text = report.markdown();
        assert!(text.starts_with("Commit abc-dirty, "), "{text}");
        assert!(text.contains("2 cores, a load of 0.25 at the start.\n"), "{text}");
        assert!(
            text.contains("### native: llvmpipe (vulkan), Mesa\n\n161 tensors, 25,557,032 parameters"),
            "{text}"
        );
        assert!(text.contains("\n| Adam | Burn | 5.000 | 10.0 | 2.50 | 2 % | 1 % |\n"), "{text}");
        assert!(text.contains("\n| Adam | PyTorch, loop | 3.000 | 10.0 | 1.50 | 20 % | - |\n"), "{text}");
    }

    #[test]
    fn what_makes_figures_doubtful_is_said() {
        let mut report = report();
        report.note_business("web", Some(0.9));
        report.note_business("native", Some(0.01));
        report.fail("web", "no Chromium");
        let text = report.markdown();
        assert!(text.contains("**BUSY:** the machine was busy before web was measured: 90 %"), "{text}");
        assert!(text.contains("**BUSY:** PyTorch: a spread of 20 %"), "{text}");
        assert!(!text.contains("**BUSY:** native"), "{text}");
        assert!(text.contains("**NOT MEASURED:** web: no Chromium"), "{text}");
        assert_eq!(report.failed(), "web");
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["groups"][0]["rows"][1]["ratio"], 2.5);
        assert_eq!(json["warnings"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!(thousands(25_557_032), "25,557,032");
        assert_eq!(thousands(161), "161");
    }
}
