//! What the machine had to do before the benchmark began.

/// What the machine had to do when the command began, before it had built anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// The average over a minute; none where the system does not tell.
    pub minute: Option<f64>,
    pub cores: usize,
}

impl Load {
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/loadavg").ok();
        Self {
            minute: text.and_then(|text| text.split(' ').next()?.parse().ok()),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        }
    }

    /// What is wrong with it.
    pub fn warning(self) -> Option<String> {
        let most = 0.5 * self.cores as f64;
        let minute = self.minute.filter(|minute| *minute > most)?;
        Some(format!(
            "the machine was busy at the start: a load of {minute:.1} on {} cores; a quiet one has {most} at most",
            self.cores
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_the_cores_is_busy() {
        let load = |minute| Load { minute, cores: 4 };
        assert_eq!(load(Some(2.0)).warning(), None);
        assert_eq!(load(None).warning(), None);
        assert!(load(Some(2.1)).warning().is_some_and(|text| text.contains("a load of 2.1 on 4 cores")));
    }
}
