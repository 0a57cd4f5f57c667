//! What a command has found out, printed for people or as JSON.

use std::fmt::Write;

use perdure_proto::{Duration, Timestamp};
use serde_json::{Map, Value};

/// Labels with what stands beside them, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts(Vec<(&'static str, Fact)>);

/// One thing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    /// Nothing to tell: left out for people, null in JSON.
    Nothing,
    Text(String),
    Count(u64),
    /// Per second.
    Rate(f64),
    /// A part of a whole, 0 to 1.
    Share(f64),
    Bytes(u64),
    Time(Timestamp),
    Span(Duration),
    /// Of one kind each: a table.
    Rows(Vec<Facts>),
}

impl Facts {
    pub(super) fn with(mut self, label: &'static str, fact: impl Into<Fact>) -> Self {
        self.0.push((label, fact.into()));
        self
    }

    /// For people: a line each, tables last.
    pub(super) fn text(&self) -> String {
        let width = self.0.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
        let mut text = String::new();
        for (label, fact) in &self.0 {
            match fact {
                Fact::Nothing | Fact::Rows(_) => {}
                other => {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{label:width$}  {}", other.text());
                }
            }
        }
        for (label, fact) in &self.0 {
            if let Fact::Rows(rows) = fact {
                let _ = write!(text, "\n{label}\n{}", table(rows));
            }
        }
        text.trim_end().to_owned()
    }

    /// For programs: labels in lower case with underscores.
    pub(super) fn json(&self) -> Value {
        let key = |label: &str| label.to_lowercase().replace(' ', "_");
        Value::Object(self.0.iter().map(|(label, fact)| (key(label), fact.json())).collect::<Map<_, _>>())
    }
}

impl Fact {
    fn text(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Rate(rate) => format!("{rate:.1}/s"),
            Self::Share(share) => format!("{:.1} %", share * 100.0),
            Self::Bytes(bytes) => format!("{:.1} MiB", *bytes as f64 / f64::from(1 << 20)),
            Self::Time(at) => at.to_string(),
            Self::Span(span) => span.to_string(),
            Self::Rows(rows) => format!("{} of them", rows.len()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Count(count) | Self::Bytes(count) => (*count).into(),
            Self::Rate(number) | Self::Share(number) => (*number).into(),
            Self::Time(_) | Self::Span(_) => self.text().into(),
            Self::Rows(rows) => rows.iter().map(Facts::json).collect(),
        }
    }
}

/// A line with the labels, then one for each row. Columns are as wide as they need.
fn table(rows: &[Facts]) -> String {
    let Some(first) = rows.first() else { return "  none\n".to_owned() };
    let labels = first.0.iter().map(|(label, _)| (*label).to_owned()).collect();
    let cells = rows.iter().map(|row| row.0.iter().map(|(_, fact)| fact.text()).collect());
    let lines: Vec<Vec<String>> = std::iter::once(labels).chain(cells).collect();
    let widths: Vec<usize> = (0..first.0.len())
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "  {}", padded.join("  ").trim_end());
    }
    text
}

macro_rules! from {
    ($($type:ty => $variant:ident,)*) => {
        $(impl From<$type> for Fact {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    String => Text,
    &str => Text,
    u64 => Count,
    u32 => Count,
    Timestamp => Time,
    Duration => Span,
    Vec<Facts> => Rows,
}

impl<T: Into<Fact>> From<Option<T>> for Fact {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let row = |name: &str, count: u64| Facts::default().with("Name", name).with("Count", count);
        Facts::default()
            .with("Name", "default")
            .with("Next timer", None::<Timestamp>)
            .with("Since", Timestamp { seconds: 1_700_000_000, nanos: 0 })
            .with("Held", Fact::Bytes(3 << 19))
            .with("Rows", vec![row("a", 1), row("longer", 20)])
            .with("Others", Vec::new())
    }

    #[test]
    fn for_people() {
        let expected = "\
Name        default
Since       2023-11-14T22:13:20Z
Held        1.5 MiB

Rows
  Name    Count
  a       1
  longer  20

Others
  none";
        assert_eq!(facts().text(), expected);
    }

    #[test]
    fn for_programs() {
        let expected = serde_json::json!({
            "name": "default",
            "next_timer": null,
            "since": "2023-11-14T22:13:20Z",
            "held": 1_572_864,
            "rows": [{ "name": "a", "count": 1 }, { "name": "longer", "count": 20 }],
            "others": [],
        });
        assert_eq!(facts().json(), expected);
    }
}
