//! What is wrong with a dynamic configuration, in words for the operator.

use std::fmt;

use crate::problem::Position;

/// Why a dynamic configuration is refused. Each displays as one line that names the place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DynamicConfigError {
    /// The text is not YAML, or not of the form `key: [{value, constraints}]`.
    #[error("dynamic config: {at}{problem}")]
    Form {
        /// Where it stands.
        at: Place,
        /// What is wrong.
        problem: String,
    },
    /// No release of Temporal has such a key.
    #[error("{at}unknown dynamic config key \"{key}\"{}", suggest(.suggestion))]
    UnknownKey {
        /// Where it stands.
        at: Place,
        /// As given.
        key: String,
        /// The key that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// The value is not what the key takes.
    #[error("{at}dynamic config key {key} takes {wanted}, not {given}")]
    Value {
        /// Where it stands.
        at: Place,
        /// As Temporal spells it.
        key: &'static str,
        /// What the key takes.
        wanted: &'static str,
        /// What was given.
        given: String,
    },
    /// A constraint has an unknown name or a wrong value.
    #[error("{at}dynamic config key {key}: {problem}")]
    Constraint {
        /// Where it stands.
        at: Place,
        /// As Temporal spells it.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The same key was given twice in different spellings.
    #[error("{at}dynamic config key {key} is given twice; put its entries into one list")]
    Twice {
        /// Where the second stands.
        at: Place,
        /// As Temporal spells it.
        key: &'static str,
    },
    /// `--dynamic-config-value` was given something other than `KEY=VALUE` with a JSON value.
    #[error("invalid --dynamic-config-value {0}")]
    Flag(String),
}

impl DynamicConfigError {
    /// Where in the file the problem stands, if it is one of a file.
    pub fn place(&self) -> Option<Position> {
        match self {
            Self::Form { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::Value { at, .. }
            | Self::Constraint { at, .. }
            | Self::Twice { at, .. } => at.0,
            Self::Flag(_) => None,
        }
    }

    /// The text without the place, for those who tell it in another way.
    pub fn without_place(&self) -> String {
        without(self, self.place())
    }
}

impl Warning {
    /// Where in the file its cause stands, if it stands in a file.
    pub fn place(&self) -> Option<Position> {
        match self {
            Self::NotServed { at, .. }
            | Self::Retired { at, .. }
            | Self::Fixed { at, .. }
            | Self::NeverApplies { at, .. } => at.0,
        }
    }

    /// The text without the place, for those who tell it in another way.
    pub fn without_place(&self) -> String {
        without(self, self.place())
    }
}

fn without(text: &impl fmt::Display, place: Option<Position>) -> String {
    text.to_string().replacen(&Place(place).to_string(), "", 1)
}

/// Where in a file something stands. Displays as `line 7: `, or as nothing for a value from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub Option<Position>);

/// Something an operator should know about a configuration that is otherwise taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Temporal has the key; this server does not act on it.
    NotServed {
        /// As Temporal spells it.
        key: &'static str,
        /// Where it stands.
        at: Place,
    },
    /// Temporal had the key.
    Retired {
        /// As Temporal spelled it.
        key: &'static str,
        /// Where it stands.
        at: Place,
        /// Last release that had it.
        last_release: &'static str,
    },
    /// This server always behaves as with one value of the key, and another was given.
    Fixed {
        /// As Temporal spells it.
        key: &'static str,
        /// Where it stands.
        at: Place,
        /// The value it behaves as with.
        fixed: bool,
    },
    /// No look-up ever asks for such constraints.
    NeverApplies {
        /// As Temporal spells it.
        key: &'static str,
        /// Where it stands.
        at: Place,
        /// Why.
        problem: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Position { line, .. }) => write!(f, "line {line}: "),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotServed { key, .. } => {
                write!(f, "dynamic config key {key} has no effect: this server does not act on it")
            }
            Self::Retired { key, last_release, .. } => {
                write!(
                    f,
                    "dynamic config key {key} has no effect: Temporal {last_release} was the last release with it"
                )
            }
            Self::Fixed { key, fixed, .. } => {
                write!(f, "dynamic config key {key} has no effect: this server always behaves as with {fixed}")
            }
            Self::NeverApplies { key, at, problem } => {
                write!(f, "{at}an entry of dynamic config key {key} never applies: {problem}")
            }
        }
    }
}

fn suggest(suggestion: &Option<&'static str>) -> String {
    match suggestion {
        Some(key) => format!("; did you mean {key}?"),
        None => "; see Temporal's dynamic configuration reference for the keys there are".to_owned(),
    }
}
