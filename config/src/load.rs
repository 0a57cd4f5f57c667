//! From text and flags to [`Settings`].

use std::{collections::BTreeMap, fmt};

use perdure_proto::api::enums::TaskQueueType;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_saphyr::Spanned;

use crate::{
    Constraints, DynamicConfigError, KnownKey, Scope, Settings, Value, Warning,
    error::Place,
    keys::{known_key, nearest_key, retired_key},
    served::{self, SERVED},
    settings::Entry,
};

/// A value for a key, without constraints.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Key in any case.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// Where a configuration comes from, weakest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// Stand in for the built-in defaults.
    pub defaults: &'a [Assignment],
    /// Text of a file in Temporal's format.
    pub file: Option<&'a str>,
    /// Replace whatever the file says of their keys.
    pub overrides: &'a [Assignment],
}

/// A configuration that was taken.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What is in force.
    pub settings: Settings,
    /// What the operator should know, in the order of the sources, each once.
    pub warnings: Vec<Warning>,
}

/// Reads a configuration. Anything that would be taken in another sense than the operator meant is an
/// error; what is understood but has no effect is a warning.
pub fn load(sources: Sources<'_>) -> Result<Loaded, DynamicConfigError> {
    let mut loader = Loader { entries: vec![Vec::new(); SERVED.len()], warnings: Vec::new() };
    if let Some(text) = sources.file {
        loader.file(text)?;
    }
    for Assignment { key, value } in sources.defaults {
        // Behind the file's entries: among entries of equal constraints the first wins.
        loader.assign(key, value, |entries, entry| entries.push(entry))?;
    }
    for Assignment { key, value } in sources.overrides {
        loader.assign(key, value, |entries, entry| *entries = vec![entry])?;
    }
    Ok(Loaded { settings: Settings::new(loader.entries), warnings: loader.warnings })
}

impl Assignment {
    /// Reads `KEY=VALUE` with a JSON value, as `--dynamic-config-value` takes it.
    pub fn from_flag(text: &str) -> Result<Self, DynamicConfigError> {
        let flag = |problem: String| DynamicConfigError::Flag(format!("{text:?}: {problem}"));
        let (key, value) = text.split_once('=').ok_or_else(|| flag("missing '=' between key and value".to_owned()))?;
        if key.is_empty() {
            return Err(flag("missing key before '='".to_owned()));
        }
        let value = Value::from_json(value)
            .map_err(|error| flag(format!("the value must be JSON ({error}); text needs quotes: '{key}=\"text\"'")))?;
        Ok(Self { key: key.to_owned(), value })
    }
}

/// The keys of a file in its order, each with where it stands.
struct File(Vec<FileKey>);

type FileKey = (Spanned<String>, Option<Vec<Spanned<FileEntry>>>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    value: Value,
    #[serde(default)]
    constraints: Option<BTreeMap<String, Value>>,
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FileVisitor;

        impl<'de> Visitor<'de> for FileVisitor {
            type Value = File;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("keys with lists of {value, constraints}")
            }

            fn visit_unit<E>(self) -> Result<File, E> {
                Ok(File(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(File(keys))
            }
        }

        deserializer.deserialize_any(FileVisitor)
    }
}

/// What a key's name turned out to be.
enum Target {
    Served(usize, KnownKey),
    Fixed(KnownKey, bool),
    /// Known to Temporal, now or once; without effect here.
    NoEffect,
}

struct Loader {
    entries: Vec<Vec<Entry>>,
    warnings: Vec<Warning>,
}

impl Loader {
    fn file(&mut self, text: &str) -> Result<(), DynamicConfigError> {
        // As in Temporal's reader, only true and false are booleans: a namespace may be called `no`.
        let options = serde_saphyr::options! { strict_booleans: true };
        // Without a snippet the error is one line.
        let File(keys) = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| DynamicConfigError::Form(error.without_snippet().to_string().replace('\n', " ")))?;
        let mut seen = vec![false; SERVED.len()];
        for (key, entries) in keys {
            let at = Place(Some(key.referenced.line()));
            let target = self.target(&key.value, at)?;
            if let Target::Served(slot, known) = target
                && std::mem::replace(&mut seen[slot], true)
            {
                return Err(DynamicConfigError::Twice { at, key: known.name });
            }
            for entry in entries.unwrap_or_default() {
                self.file_entry(&target, entry)?;
            }
        }
        Ok(())
    }

    fn file_entry(&mut self, target: &Target, entry: Spanned<FileEntry>) -> Result<(), DynamicConfigError> {
        let at = Place(Some(entry.referenced.line()));
        let FileEntry { value, constraints } = entry.value;
        let constraints = constraints.unwrap_or_default();
        match target {
            Target::Served(slot, known) => {
                let setting = typed(*slot, &value, at)?;
                match read_constraints(*known, &constraints, at)? {
                    Ok(constraints) => self.entries[*slot].push(Entry { constraints, setting }),
                    Err(problem) => self.warn(Warning::NeverApplies { key: known.name, at, problem }),
                }
            }
            Target::Fixed(known, fixed) => self.check_fixed(*known, *fixed, &value, at)?,
            Target::NoEffect => {}
        }
        Ok(())
    }

    fn assign(
        &mut self,
        key: &str,
        value: &Value,
        put: impl Fn(&mut Vec<Entry>, Entry),
    ) -> Result<(), DynamicConfigError> {
        let at = Place(None);
        match self.target(key, at)? {
            Target::Served(slot, _) => {
                let setting = typed(slot, value, at)?;
                put(&mut self.entries[slot], Entry { constraints: Constraints::default(), setting });
            }
            Target::Fixed(known, fixed) => self.check_fixed(known, fixed, value, at)?,
            Target::NoEffect => {}
        }
        Ok(())
    }

    /// What a key is, with the warning that belongs to its name alone.
    fn target(&mut self, key: &str, at: Place) -> Result<Target, DynamicConfigError> {
        let Some(known) = known_key(key) else {
            let Some(retired) = retired_key(key) else {
                let suggestion = nearest_key(key);
                return Err(DynamicConfigError::UnknownKey { at, key: key.to_owned(), suggestion });
            };
            self.warn(Warning::Retired { key: retired.name, last_release: retired.last_release });
            return Ok(Target::NoEffect);
        };
        if let Some(slot) = served::slot(key) {
            return Ok(Target::Served(slot, known));
        }
        if let Some(fixed) = served::fixed(key) {
            return Ok(Target::Fixed(known, fixed));
        }
        self.warn(Warning::NotServed { key: known.name });
        Ok(Target::NoEffect)
    }

    fn check_fixed(
        &mut self,
        known: KnownKey,
        fixed: bool,
        value: &Value,
        at: Place,
    ) -> Result<(), DynamicConfigError> {
        let given = value.as_bool().ok_or_else(|| wrong(known.name, "true or false", value, at))?;
        if given != fixed {
            self.warn(Warning::Fixed { key: known.name, fixed });
        }
        Ok(())
    }

    fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

fn typed(slot: usize, value: &Value, at: Place) -> Result<served::Setting, DynamicConfigError> {
    let served = &SERVED[slot];
    served.read(value).map_err(|wanted| wrong(served.name, wanted, value, at))
}

fn wrong(key: &'static str, wanted: &'static str, value: &Value, at: Place) -> DynamicConfigError {
    DynamicConfigError::Value { at, key, wanted, given: value.to_string() }
}

/// The constraints of an entry; the inner error says why no look-up can ever match them.
fn read_constraints(
    key: KnownKey,
    given: &BTreeMap<String, Value>,
    at: Place,
) -> Result<Result<Constraints, String>, DynamicConfigError> {
    let refuse = |problem: String| DynamicConfigError::Constraint { at, key: key.name, problem };
    let mut constraints = Constraints::default();
    let mut never = None;
    for (name, value) in given {
        let text = || match value {
            Value::Text(text) => Ok((!text.is_empty()).then(|| text.clone())),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                Err(refuse(format!("constraint {name} takes text, not {value}")))
            }
        };
        // A look-up only ever names what the key's scope has.
        let fits = match name.to_ascii_lowercase().as_str() {
            "namespace" => {
                constraints.namespace = text()?;
                matches!(key.scope, Scope::Namespace | Scope::TaskQueue | Scope::Destination)
            }
            "taskqueuename" => {
                constraints.task_queue = text()?;
                key.scope == Scope::TaskQueue
            }
            "tasktype" => {
                constraints.task_type = Some(task_type(value).ok_or_else(|| {
                    refuse(format!("constraint {name} takes Workflow, Activity or Nexus, not {value}"))
                })?);
                key.scope == Scope::TaskQueue
            }
            "namespaceid" => text().map(|_| key.scope == Scope::NamespaceId)?,
            "destination" => text().map(|_| key.scope == Scope::Destination)?,
            "chasmtasktype" => text().map(|_| key.scope == Scope::ChasmTaskType)?,
            "shardid" => key.scope == Scope::Shard,
            "historytasktype" => key.scope == Scope::HistoryTaskType,
            _ => return Err(refuse(format!("unknown constraint {name:?}"))),
        };
        if !fits {
            never.get_or_insert_with(|| format!("the key cannot be constrained by {name}"));
        }
    }
    let Constraints { namespace, task_queue, task_type } = &constraints;
    if task_type.is_some() && (namespace.is_none() || task_queue.is_none()) {
        never.get_or_insert_with(|| "taskType needs namespace and taskQueueName beside it".to_owned());
    }
    Ok(never.map_or(Ok(constraints), Err))
}

fn task_type(value: &Value) -> Option<TaskQueueType> {
    const TYPES: [(&str, TaskQueueType); 3] =
        [("Workflow", TaskQueueType::Workflow), ("Activity", TaskQueueType::Activity), ("Nexus", TaskQueueType::Nexus)];
    match value {
        Value::Text(text) => TYPES
            .iter()
            .find(|(name, kind)| text.eq_ignore_ascii_case(name) || text == kind.as_str_name())
            .map(|(_, kind)| *kind),
        Value::Int(number) => TYPES.iter().find(|(_, kind)| i64::from(*kind as i32) == *number).map(|(_, kind)| *kind),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}
