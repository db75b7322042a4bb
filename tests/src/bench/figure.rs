//! A measured figure beside its goal, printed as a table and kept as JSON.

use std::path::Path;

use serde::Serialize;

use crate::Result;

/// Takes each figure as it is measured.
pub type Tell<'a> = &'a mut dyn FnMut(Figure);

/// One row.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// `≥ 1500`, `< 30`; none where the figure is only reported.
    goal: Option<String>,
    /// None without a goal.
    met: Option<bool>,
}

impl Figure {
    /// A figure that must not be below `goal`.
    pub fn at_least(name: impl Into<String>, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { name: name.into(), value, unit, goal: Some(format!("≥ {goal}")), met: Some(value >= goal) }
    }

    /// A figure that must be below `goal`.
    pub fn below(name: impl Into<String>, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { name: name.into(), value, unit, goal: Some(format!("< {goal}")), met: Some(value < goal) }
    }

    /// A figure that must not be above `goal`.
    pub fn at_most(name: impl Into<String>, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { name: name.into(), value, unit, goal: Some(format!("≤ {goal}")), met: Some(value <= goal) }
    }

    /// A figure that nothing is promised of.
    pub fn reported(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, goal: None, met: None }
    }

    /// The row, as the table prints it.
    pub fn line(&self) -> String {
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let goal = self.goal.as_deref().unwrap_or("-");
        format!("{:<66} {:>10.2} {:<8} {:>10}  {verdict}", self.name, self.value, self.unit, goal)
    }
}

/// Writes the figures as a JSON array.
pub fn write(figures: &[Figure], path: &Path) -> Result<()> {
    std::fs::write(path, serde_json::to_string_pretty(figures)?)?;
    Ok(())
}
