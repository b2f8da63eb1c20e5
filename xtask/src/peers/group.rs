//! What the programs that measure say: rows of one group, taken in turn.

use serde_json::Value;

/// The 161 tensors of ResNet-50, which PyTorch steps, too.
pub const RESNET50: u64 = 25_557_032;

/// What this library is called among its peers.
pub const OURS: &str = "lookahead-wgpu";

#[derive(Debug, thiserror::Error)]
#[error("the program's report is not as expected: {0}")]
pub struct GroupError(String);

/// Optimizers that were timed together.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: &'static str,
    /// What they ran on: the adapter with its backend, and its driver or the browser.
    pub adapter: String,
    pub driver: String,
    pub count: u64,
    pub parameters: u64,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug)]
pub struct Row {
    /// `Adam` or `Lookahead(Adam)`.
    pub optimizer: String,
    pub peer: String,
    pub ms: f64,
    /// The middle half of the samples, relative to their median.
    pub spread: f64,
    pub gb_per_s: f64,
    /// The time over this library's.
    pub ratio: Option<f64>,
    /// The middle half of that, sample by sample, relative to the median; none where samples were not taken in turn.
    pub ratio_spread: Option<f64>,
    pub samples: u64,
}

impl Group {
    /// Of the JSON that the native program and the page's print.
    pub fn parse(name: &'static str, report: &str) -> Result<Self, GroupError> {
        let report = read(report)?;
        let adapter = text(&report, "adapter")?;
        let adapter = match report.get("backend").and_then(Value::as_str) {
            Some(backend) => format!("{adapter} ({backend})"),
            None => adapter,
        };
        let rows = list(&report)?.iter().map(|row| {
            Ok(Row {
                optimizer: text(row, "optimizer")?,
                peer: text(row, "peer")?,
                ratio: Some(number(row, "ratio")?),
                ratio_spread: Some(number(row, "ratio_spread")?),
                ..times(row)?
            })
        });
        Ok(Self {
            name,
            adapter,
            driver: text(&report, "driver")?,
            count: whole(&report, "count")?,
            parameters: whole(&report, "parameters")?,
            rows: rows.collect::<Result<_, GroupError>>()?,
        })
    }

    /// Of the JSON that PyTorch's program writes, whose optimizers are called `Adam, foreach`, say.
    pub fn parse_pytorch(report: &str) -> Result<Self, GroupError> {
        let report = read(report)?;
        let version = text(&report, "torch")?;
        let of_resnet50 = |row: &&Value| row.get("parameters").and_then(Value::as_u64) == Some(RESNET50);
        let rows = list(&report)?.iter().filter(of_resnet50).map(|row| {
            let name = text(row, "optimizer")?;
            let (optimizer, variant) = name.split_once(", ").unwrap_or((&name, ""));
            let (optimizer, peer) = (optimizer.to_owned(), format!("PyTorch, {variant}"));
            Ok(Row { optimizer, peer, ..times(row)? })
        });
        let rows: Vec<Row> = rows.collect::<Result<_, GroupError>>()?;
        // PyTorch's variants in turn, as they are measured, would mix the optimizers.
        let of = |optimizer: &str| {
            rows.iter().filter(|row| row.optimizer == optimizer).cloned().collect::<Vec<_>>()
        };
        let rows = [of("Adam"), of("Lookahead(Adam)")].concat();
        Ok(Self {
            name: "PyTorch",
            adapter: text(&report, "device")?,
            driver: format!("PyTorch {version}"),
            count: 161,
            parameters: RESNET50,
            rows,
        })
    }

    /// This library's milliseconds a step.
    pub fn ours(&self, optimizer: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.peer == OURS && row.optimizer == optimizer).map(|row| row.ms)
    }
}

/// What all reports have of a row.
fn times(row: &Value) -> Result<Row, GroupError> {
    Ok(Row {
        optimizer: String::new(),
        peer: String::new(),
        ms: number(row, "ms")?,
        spread: number(row, "spread")?,
        gb_per_s: number(row, "gb_per_s")?,
        ratio: None,
        ratio_spread: None,
        samples: whole(row, "samples")?,
    })
}

fn read(report: &str) -> Result<Value, GroupError> {
    serde_json::from_str(report).map_err(|error| GroupError(error.to_string()))
}

fn missing(name: &str, value: &Value) -> GroupError {
    GroupError(format!("no `{name}` in {}", value.to_string().chars().take(200).collect::<String>()))
}

fn list(report: &Value) -> Result<&Vec<Value>, GroupError> {
    report.get("rows").and_then(Value::as_array).ok_or_else(|| missing("rows", report))
}

fn text(value: &Value, name: &str) -> Result<String, GroupError> {
    let found = value.get(name).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| missing(name, value))
}

fn number(value: &Value, name: &str) -> Result<f64, GroupError> {
    value.get(name).and_then(Value::as_f64).ok_or_else(|| missing(name, value))
}

fn whole(value: &Value, name: &str) -> Result<u64, GroupError> {
    value.get(name).and_then(Value::as_u64).ok_or_else(|| missing(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = r#"{"adapter": "llvmpipe", "backend": "vulkan", "driver": "llvmpipe Mesa", "count": 2,
            "parameters": 9, "rows": [{"optimizer": "Adam", "peer": "lookahead-wgpu", "ms": 2, "spread": 0.1,
            "gb_per_s": 3.5, "ratio": 1, "ratio_spread": 0, "samples": 3}]}"#;
        let group = Group::parse("native", report).unwrap();
        assert_eq!((group.adapter.as_str(), group.count, group.parameters), ("llvmpipe (vulkan)", 2, 9));
        assert_eq!((group.ours("Adam"), group.ours("SGD")), (Some(2.0), None));
        let error =
            Group::parse("native", r#"{"adapter": "a", "driver": "b", "count": 1, "rows": []}"#).unwrap_err();
        assert!(error.to_string().contains("no `parameters`"), "{error}");
        assert!(Group::parse("native", "").is_err());
    }

    #[test]
    fn pytorchs_rows_are_sorted_by_optimizer_and_other_sizes_left_out() {
        let row = |optimizer: &str, parameters: u64| {
            format!(
                r#"{{"optimizer": "{optimizer}", "parameters": {parameters}, "ms": 1, "spread": 0, "gb_per_s": 1,
                    "samples": 5}}"#
            )
        };
        let rows = [
            row("Adam, loop", RESNET50),
            row("Lookahead(Adam), loop", RESNET50),
            row("Adam, foreach", RESNET50),
            row("Adam, loop", 5),
        ];
        let report = format!(r#"{{"torch": "2", "device": "CPU", "rows": [{}]}}"#, rows.join(", "));
        let group = Group::parse_pytorch(&report).unwrap();
        let names: Vec<_> = group.rows.iter().map(|row| format!("{} {}", row.optimizer, row.peer)).collect();
        assert_eq!(names, ["Adam PyTorch, loop", "Adam PyTorch, foreach", "Lookahead(Adam) PyTorch, loop"]);
    }
}
