//! Figures by name, their medians over runs, and percentiles.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// One run's figures, in the order in which they were put. Names are dotted, the unit last but one:
/// `flood.cpu_us.pipeline`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(Vec<(String, f64)>);

impl Figures {
    /// Puts a figure, or replaces the one of that name.
    pub fn put(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// What stands behind `prefix`, in order.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, *value)))
    }

    /// The median of each figure over those runs that have it; of an even number the lower middle, a
    /// value that was measured.
    #[must_use]
    pub fn medians(runs: &[Self]) -> Self {
        let mut medians = Self::default();
        for (name, _) in runs.iter().flat_map(|run| &run.0) {
            let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(name)).collect();
            values.sort_by(f64::total_cmp);
            medians.put(name, values[(values.len() - 1) / 2]);
        }
        medians
    }

    /// What [`Serialize`] has written.
    ///
    /// # Errors
    /// No object of numbers.
    pub fn read(text: &str) -> Result<Self> {
        let map: Map<String, Value> = serde_json::from_str(text)?;
        let pair = |(name, value): (String, Value)| Some((name, value.as_f64()?));
        Ok(Self(map.into_iter().filter_map(pair).collect()))
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Times of many messages, from a microsecond to an hour, three digits.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds in order"))
    }
}

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// p50, p99 and maximum as `<phase>.<which>_ms.<what>`; nothing of no times.
    pub fn put(&self, figures: &mut Figures, phase: &str, what: &str) {
        if self.0.is_empty() {
            return;
        }
        let ms = |us: u64| Duration::from_micros(us).as_secs_f64() * 1e3;
        figures.put(&format!("{phase}.p50_ms.{what}"), ms(self.0.value_at_quantile(0.5)));
        figures.put(&format!("{phase}.p99_ms.{what}"), ms(self.0.value_at_quantile(0.99)));
        figures.put(&format!("{phase}.max_ms.{what}"), ms(self.0.max()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: f64) -> Figures {
        let mut figures = Figures::default();
        figures.put("a.b", value);
        figures
    }

    #[test]
    fn a_median_is_a_value_that_was_measured() {
        let check = |values: &[f64], expected: f64| {
            let runs: Vec<_> = values.iter().copied().map(of).collect();
            assert_eq!(Figures::medians(&runs).get("a.b"), Some(expected));
        };
        check(&[3.0, 1.0, 2.0], 2.0);
        check(&[9.0, 1.0], 1.0);
        check(&[5.0], 5.0);
        assert_eq!(Figures::medians(&[]), Figures::default());
    }

    #[test]
    fn figures_survive_being_written_and_read() {
        let written = serde_json::to_string(&of(1.5)).unwrap();
        assert_eq!(Figures::read(&written).unwrap(), of(1.5));
        assert_eq!(of(1.5).below("a.").collect::<Vec<_>>(), [("b", 1.5)]);
    }

    #[test]
    fn percentiles_are_of_all_times() {
        let mut times = Times::default();
        (1..=1_000).for_each(|ms| times.add(Duration::from_millis(ms)));
        let mut figures = Figures::default();
        times.put(&mut figures, "x", "way");
        let near = |name: &str, expected: f64| {
            let value = figures.get(name).unwrap();
            assert!((value - expected).abs() < expected / 100.0, "{name}: {value}");
        };
        near("x.p50_ms.way", 500.0);
        near("x.p99_ms.way", 990.0);
        near("x.max_ms.way", 1_000.0);
    }
}
