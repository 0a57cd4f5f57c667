//! What can be asked about: fields that every record has, and search attributes.

use std::collections::BTreeMap;

use perdure_kernel::{search_attributes::PREDEFINED, visibility::NAMESPACE_DIVISION};
use perdure_proto::api::enums::IndexedValueType;

use crate::QueryError;

/// The type of a field or attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// True or false.
    Bool,
    /// An instant, kept in nanoseconds.
    Datetime,
    /// A floating-point number.
    Double,
    /// A whole number.
    Int,
    /// A text compared as a whole.
    Keyword,
    /// A set of keywords.
    KeywordList,
    /// A text of words.
    Text,
}

impl Kind {
    /// The type as the API numbers it; `None` for "unspecified".
    pub fn of(value_type: IndexedValueType) -> Option<Self> {
        match value_type {
            IndexedValueType::Bool => Some(Self::Bool),
            IndexedValueType::Datetime => Some(Self::Datetime),
            IndexedValueType::Double => Some(Self::Double),
            IndexedValueType::Int => Some(Self::Int),
            IndexedValueType::Keyword => Some(Self::Keyword),
            IndexedValueType::KeywordList => Some(Self::KeywordList),
            IndexedValueType::Text => Some(Self::Text),
            IndexedValueType::Unspecified => None,
        }
    }

    /// As error texts and payload metadata show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "Bool",
            Self::Datetime => "Datetime",
            Self::Double => "Double",
            Self::Int => "Int",
            Self::Keyword => "Keyword",
            Self::KeywordList => "KeywordList",
            Self::Text => "Text",
        }
    }

    /// The type that [`Kind::name`] names.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        use Kind::{Bool, Datetime, Double, Int, Keyword, KeywordList, Text};
        [Bool, Datetime, Double, Int, Keyword, KeywordList, Text]
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }
}

/// Something that a record has or may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The business id.
    WorkflowId,
    /// The run id.
    RunId,
    /// Name of the type.
    WorkflowType,
    /// Name of the task queue.
    TaskQueue,
    /// Workflow id of the parent.
    ParentWorkflowId,
    /// Run id of the parent.
    ParentRunId,
    /// Workflow id of the root.
    RootWorkflowId,
    /// Run id of the root.
    RootRunId,
    /// The status, by its number in the API.
    ExecutionStatus,
    /// When it was started.
    StartTime,
    /// Start time plus the backoff of the first task.
    ExecutionTime,
    /// When it closed; none while it is open.
    CloseTime,
    /// Nanoseconds from execution time to close; none while it is open.
    ExecutionDuration,
    /// Events; none while it is open.
    HistoryLength,
    /// Bytes; none while it is open.
    HistorySizeBytes,
    /// Transitions; none while it is open.
    StateTransitionCount,
    /// A search attribute, predefined or custom.
    Attribute(Attribute),
}

/// A search attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    /// The name under which records hold it.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// Every field that is no attribute, by name.
const FIELDS: [(&str, Field); 16] = [
    ("WorkflowId", Field::WorkflowId),
    ("RunId", Field::RunId),
    ("WorkflowType", Field::WorkflowType),
    ("TaskQueue", Field::TaskQueue),
    ("ParentWorkflowId", Field::ParentWorkflowId),
    ("ParentRunId", Field::ParentRunId),
    ("RootWorkflowId", Field::RootWorkflowId),
    ("RootRunId", Field::RootRunId),
    ("ExecutionStatus", Field::ExecutionStatus),
    ("StartTime", Field::StartTime),
    ("ExecutionTime", Field::ExecutionTime),
    ("CloseTime", Field::CloseTime),
    ("ExecutionDuration", Field::ExecutionDuration),
    ("HistoryLength", Field::HistoryLength),
    ("HistorySizeBytes", Field::HistorySizeBytes),
    ("StateTransitionCount", Field::StateTransitionCount),
];

impl Field {
    /// The division of the namespace.
    pub fn division() -> Self {
        Self::Attribute(Attribute { name: NAMESPACE_DIVISION.to_owned(), kind: Kind::Keyword })
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::WorkflowId
            | Self::RunId
            | Self::WorkflowType
            | Self::TaskQueue
            | Self::ParentWorkflowId
            | Self::ParentRunId
            | Self::RootWorkflowId
            | Self::RootRunId
            | Self::ExecutionStatus => Kind::Keyword,
            Self::StartTime | Self::ExecutionTime | Self::CloseTime => Kind::Datetime,
            Self::ExecutionDuration | Self::HistoryLength | Self::HistorySizeBytes | Self::StateTransitionCount => {
                Kind::Int
            }
            Self::Attribute(attribute) => attribute.kind,
        }
    }

    /// The name under which queries find it.
    pub fn name(&self) -> &str {
        if let Self::Attribute(attribute) = self {
            return &attribute.name;
        }
        FIELDS.iter().find(|(_, field)| field == self).map_or("", |(name, _)| name)
    }
}

/// How one kind of execution names what all kinds store alike.
#[derive(Clone, Copy, Debug)]
pub struct ArchetypeNames {
    /// Value of `TemporalNamespaceDivision` in its records; what a query is about that does not name it.
    pub division: &'static str,
    /// Its names for the attributes that are reserved for all kinds.
    pub attributes: &'static [(&'static str, &'static str, Kind)],
    /// Its name for the business id.
    pub business_id: &'static str,
}

impl ArchetypeNames {
    /// Activities that stand alone.
    pub const ACTIVITY: Self = Self {
        division: "3332429922",
        attributes: &[
            ("ActivityType", "TemporalKeyword01", Kind::Keyword),
            ("ExecutionStatus", "TemporalLowCardinalityKeyword01", Kind::Keyword),
        ],
        business_id: "ActivityId",
    };

    /// Nexus operations that stand alone.
    pub const NEXUS_OPERATION: Self = Self {
        division: "131748067",
        attributes: &[
            ("Endpoint", "TemporalKeyword01", Kind::Keyword),
            ("Service", "TemporalKeyword02", Kind::Keyword),
            ("Operation", "TemporalKeyword03", Kind::Keyword),
            ("RequestId", "TemporalKeyword04", Kind::Keyword),
            ("ExecutionStatus", "TemporalLowCardinalityKeyword01", Kind::Keyword),
        ],
        business_id: "OperationId",
    };
}

/// The names that a query may use.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Custom attributes of the namespace.
    pub custom: &'a BTreeMap<String, IndexedValueType>,
    /// The kind of execution that is asked about; `None` for workflows.
    pub archetype: Option<&'a ArchetypeNames>,
}

/// What the names of reserved things begin with. It may be left away, or be there in vain.
const PREFIX: &str = "Temporal";

/// The fields that custom attributes are names for: name without number, how many, type. Nothing is stored
/// under them here.
const RESERVED: [(&str, u8, Kind); 7] = [
    ("Bool", 3, Kind::Bool),
    ("Datetime", 3, Kind::Datetime),
    ("Double", 3, Kind::Double),
    ("Int", 3, Kind::Int),
    ("Keyword", 10, Kind::Keyword),
    ("KeywordList", 3, Kind::KeywordList),
    ("Text", 3, Kind::Text),
];

impl Names<'_> {
    /// What `name` means: a custom attribute, else one of the archetype's, else a field or predefined
    /// attribute, with or without the prefix of reserved names.
    pub(crate) fn resolve(&self, name: &str) -> Result<Field, QueryError> {
        let attribute = |name: &str, kind| Field::Attribute(Attribute { name: name.to_owned(), kind });
        if let Some(kind) = self.custom.get(name).copied().and_then(Kind::of) {
            return Ok(attribute(name, kind));
        }
        if let Some(archetype) = self.archetype {
            if let Some((_, stored, kind)) = archetype.attributes.iter().find(|(alias, ..)| *alias == name) {
                return Ok(attribute(stored, *kind));
            }
            if name.strip_prefix(PREFIX).unwrap_or(name) == archetype.business_id {
                return Ok(Field::WorkflowId);
            }
        }
        if let Some(field) = known(name) {
            return Ok(field);
        }
        let bare = name.strip_prefix(PREFIX);
        if bare.unwrap_or(name) == "ScheduleId" {
            return Ok(Field::WorkflowId);
        }
        let other = match bare {
            Some(bare) => known(bare),
            None => known(&format!("{PREFIX}{name}")),
        };
        other.ok_or_else(|| QueryError::unknown(name))
    }
}

/// A field, predefined or reserved attribute of exactly this name.
fn known(name: &str) -> Option<Field> {
    if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return Some(field.clone());
    }
    if let Some((_, value_type, _)) = PREDEFINED.iter().find(|(known, ..)| *known == name) {
        return Kind::of(*value_type).map(|kind| Field::Attribute(Attribute { name: name.to_owned(), kind }));
    }
    let (stem, number) = name.split_at_checked(name.len().checked_sub(2)?)?;
    let (_, count, kind) = RESERVED.iter().find(|(known, ..)| *known == stem)?;
    let number: u8 = number.parse().ok()?;
    let fits = number >= 1 && number <= *count && name.as_bytes()[stem.len()].is_ascii_digit();
    fits.then(|| Field::Attribute(Attribute { name: name.to_owned(), kind: *kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_do_for_temporal() {
        let custom = BTreeMap::from([
            ("Amount".to_owned(), IndexedValueType::Int),
            ("ScheduleId".to_owned(), IndexedValueType::Keyword),
        ]);
        let none = BTreeMap::new();
        let attribute = |name: &str, kind| Ok(Field::Attribute(Attribute { name: name.to_owned(), kind }));
        let workflows = Names { custom: &custom, archetype: None };
        let activities = Names { custom: &none, archetype: Some(&ArchetypeNames::ACTIVITY) };
        for (names, name, meant) in [
            (workflows, "Amount", attribute("Amount", Kind::Int)),
            (workflows, "ScheduleId", attribute("ScheduleId", Kind::Keyword)),
            (activities, "ScheduleId", Ok(Field::WorkflowId)),
            (workflows, "TemporalScheduleId", Ok(Field::WorkflowId)),
            (workflows, "TemporalWorkflowType", Ok(Field::WorkflowType)),
            (workflows, "ChangeVersion", attribute("TemporalChangeVersion", Kind::KeywordList)),
            (workflows, "NamespaceDivision", Ok(Field::division())),
            (workflows, "TemporalAmount", Err(QueryError::unknown("TemporalAmount"))),
            (workflows, "workflowid", Err(QueryError::unknown("workflowid"))),
            (workflows, "Keyword01", attribute("Keyword01", Kind::Keyword)),
            (activities, "TemporalKeyword01", attribute("Keyword01", Kind::Keyword)),
            (workflows, "TemporalLowCardinalityKeyword01", Err(QueryError::unknown("TemporalLowCardinalityKeyword01"))),
            (workflows, "Keyword11", Err(QueryError::unknown("Keyword11"))),
            (workflows, "Keyword+1", Err(QueryError::unknown("Keyword+1"))),
            (workflows, "é", Err(QueryError::unknown("é"))),
            (workflows, "ActivityType", Err(QueryError::unknown("ActivityType"))),
            (activities, "ActivityType", attribute("TemporalKeyword01", Kind::Keyword)),
            (activities, "ActivityId", Ok(Field::WorkflowId)),
            (activities, "TemporalActivityId", Ok(Field::WorkflowId)),
            (workflows, "TemporalActivityId", Err(QueryError::unknown("TemporalActivityId"))),
            (activities, "ExecutionStatus", attribute("TemporalLowCardinalityKeyword01", Kind::Keyword)),
            (workflows, "ExecutionStatus", Ok(Field::ExecutionStatus)),
        ] {
            assert_eq!(names.resolve(name), meant, "{name}");
        }
    }
}
