//! From text and flags to [`Settings`].

use perdure_proto::api::enums::TaskQueueType;

use crate::{
    Constraints, DynamicConfigError, KnownKey, Scope, Settings, Value, Warning,
    error::Place,
    keys::{known_key, nearest_key, retired_key},
    node::{self, Data, Node},
    problem::{Cause, Position, Problem, Problems},
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
    let mut loader = Loader::new();
    if let Some(text) = sources.file {
        loader.file(text);
        if let Some(first) = loader.errors.drain(..).next() {
            return Err(first);
        }
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

/// Everything that [`load`] would refuse or warn of in a file, in its order.
pub(crate) fn check(text: &str) -> Vec<Problem> {
    let mut loader = Loader::new();
    loader.file(text);
    let mut problems = Problems::default();
    for error in loader.errors {
        problems.add(error.place().unwrap_or_default(), Cause::Dynamic(error));
    }
    for warning in loader.warnings {
        problems.add(warning.place().unwrap_or_default(), Cause::DynamicWarning(warning));
    }
    problems.into_sorted()
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

/// What the list of a key is made of.
const ENTRY: &str = "{value, constraints}";

/// An element of a key's list.
struct FileEntry<'a> {
    value: &'a Node,
    constraints: &'a [node::Entry],
}

impl<'a> FileEntry<'a> {
    fn read(entry: &'a Node) -> Result<Self, DynamicConfigError> {
        let Data::Map(fields) = &entry.data else {
            return Err(malformed(entry.at, format!("an element of a key's list is {ENTRY}, not {entry}")));
        };
        let mut value = None;
        let mut constraints: &[node::Entry] = &[];
        for field in fields {
            match (field.key.as_str(), &field.node.data) {
                ("value", _) => value = Some(&field.node),
                ("constraints", Data::Map(given)) => constraints = given,
                ("constraints", Data::Null) => {}
                ("constraints", Data::Scalar(..) | Data::List(_)) => {
                    let given = &field.node;
                    return Err(malformed(given.at, format!("constraints takes names and values, not {given}")));
                }
                (other, _) => {
                    return Err(malformed(field.at, format!("unknown field {other:?}; an element is {ENTRY}")));
                }
            }
        }
        let value = value.ok_or_else(|| malformed(entry.at, format!("value is missing; an element is {ENTRY}")))?;
        Ok(Self { value, constraints })
    }
}

fn malformed(at: Position, problem: String) -> DynamicConfigError {
    DynamicConfigError::Form { at: Place(Some(at)), problem }
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
    errors: Vec<DynamicConfigError>,
    warnings: Vec<Warning>,
}

impl Loader {
    fn new() -> Self {
        Self { entries: vec![Vec::new(); SERVED.len()], errors: Vec::new(), warnings: Vec::new() }
    }

    /// Reads a file to its end, whatever is wrong with it.
    fn file(&mut self, text: &str) {
        let mut problems = Problems::default();
        let root = Node::parse(text, 0, &mut problems);
        for problem in problems.into_sorted() {
            self.malformed(problem.at, problem.cause.to_string());
        }
        let keys = match root.map(|node| (node.at, node.to_string(), node.data)) {
            Some((_, _, Data::Map(keys))) => keys,
            Some((_, _, Data::Null)) | None => Vec::new(),
            Some((at, given, Data::Scalar(..) | Data::List(_))) => {
                self.malformed(at, format!("the file takes keys with lists of {ENTRY}, not {given}"));
                Vec::new()
            }
        };
        let mut seen = vec![false; SERVED.len()];
        for node::Entry { key, at, node } in &keys {
            let entries = match &node.data {
                Data::List(entries) => entries.as_slice(),
                Data::Null => &[],
                Data::Scalar(..) | Data::Map(_) => {
                    self.malformed(node.at, format!("{key} takes a list of {ENTRY}, not {node}"));
                    &[]
                }
            };
            if let Err(error) = self.key(key, Place(Some(*at)), entries, &mut seen) {
                self.errors.push(error);
            }
        }
    }

    fn key(&mut self, key: &str, at: Place, entries: &[Node], seen: &mut [bool]) -> Result<(), DynamicConfigError> {
        let target = self.target(key, at)?;
        if let Target::Served(slot, known) = target
            && std::mem::replace(&mut seen[slot], true)
        {
            return Err(DynamicConfigError::Twice { at, key: known.name });
        }
        for entry in entries {
            if let Err(error) = self.file_entry(&target, entry) {
                self.errors.push(error);
            }
        }
        Ok(())
    }

    fn file_entry(&mut self, target: &Target, entry: &Node) -> Result<(), DynamicConfigError> {
        let FileEntry { value, constraints } = FileEntry::read(entry)?;
        let at = Place(Some(value.at));
        let value = &value.value();
        match target {
            Target::Served(slot, known) => {
                let setting = typed(*slot, value, at)?;
                match read_constraints(*known, constraints)? {
                    Ok(constraints) => self.entries[*slot].push(Entry { constraints, setting }),
                    Err(problem) => {
                        let at = Place(Some(entry.at));
                        self.warn(Warning::NeverApplies { key: known.name, at, problem });
                    }
                }
            }
            Target::Fixed(known, fixed) => self.check_fixed(*known, *fixed, value, at)?,
            Target::NoEffect => {}
        }
        Ok(())
    }

    fn malformed(&mut self, at: Position, problem: String) {
        self.errors.push(malformed(at, problem));
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
            self.warn(Warning::Retired { key: retired.name, at, last_release: retired.last_release });
            return Ok(Target::NoEffect);
        };
        if let Some(slot) = served::slot(key) {
            return Ok(Target::Served(slot, known));
        }
        if let Some(fixed) = served::fixed(key) {
            return Ok(Target::Fixed(known, fixed));
        }
        self.warn(Warning::NotServed { key: known.name, at });
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
            self.warn(Warning::Fixed { key: known.name, at, fixed });
        }
        Ok(())
    }

    fn warn(&mut self, warning: Warning) {
        // Once, wherever it comes from.
        let text = warning.to_string();
        if !self.warnings.iter().any(|known| known.to_string() == text) {
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
fn read_constraints(key: KnownKey, given: &[node::Entry]) -> Result<Result<Constraints, String>, DynamicConfigError> {
    let mut constraints = Constraints::default();
    let mut never = None;
    for node::Entry { key: name, at, node } in given {
        let refuse = |problem: String| DynamicConfigError::Constraint { at: Place(Some(*at)), key: key.name, problem };
        let value = &node.value();
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
