//! The tree.

use crate::{Field, Names, QueryError, convert};

/// A parsed query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What a record must pass; `None` lets all pass. The division that a query without one means is part
    /// of it.
    pub filter: Option<Filter>,
    /// By what a count is grouped. Lists take no notice of it.
    pub group_by: Option<GroupBy>,
}

/// A condition. Comparisons with an absent value are neither true nor false, as in SQL; a record passes
/// when its filter is true.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of them. Never empty.
    All(Vec<Self>),
    /// Any of them. Never empty.
    Any(Vec<Self>),
    /// The opposite.
    Not(Box<Self>),
    /// A comparison with a value of the field's type.
    Compare {
        /// The field: any but keyword lists and texts.
        field: Field,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Scalar,
    },
    /// Whether the value is one of several.
    OneOf {
        /// The field: any but keyword lists and texts.
        field: Field,
        /// Whether it must be none of them instead.
        negated: bool,
        /// Values of the field's type. Never empty.
        values: Vec<Scalar>,
    },
    /// Whether the value lies between two, which belong to the range.
    Between {
        /// The field: a keyword, number or instant.
        field: Field,
        /// Whether it must lie outside instead.
        negated: bool,
        /// Least value of the range.
        low: Scalar,
        /// Greatest value of the range.
        high: Scalar,
    },
    /// Whether a keyword starts with a text.
    StartsWith {
        /// The field: a keyword.
        field: Field,
        /// Whether it must not instead.
        negated: bool,
        /// The text.
        prefix: String,
    },
    /// Whether a keyword list has any of several. An absent list has none: this is never undecided.
    Holds {
        /// The field: a keyword list.
        field: Field,
        /// Whether it must have none of them instead.
        negated: bool,
        /// The keywords. Never empty.
        keywords: Vec<String>,
    },
    /// Whether a text has any of several phrases: words that follow each other. An absent text has none:
    /// this is never undecided.
    Mentions {
        /// The field: a text.
        field: Field,
        /// Whether it must have none of them instead.
        negated: bool,
        /// The phrases, as [`crate::text::words`] makes them. Never empty; a phrase may be, and is found nowhere.
        phrases: Vec<Vec<String>>,
    },
    /// Whether there is no value.
    IsNull {
        /// Any field.
        field: Field,
        /// Whether there must be one instead.
        negated: bool,
    },
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`, `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// As SQL writes it.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A value to compare with. Instants are nanoseconds, durations too, a status is its number in the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A keyword.
    Keyword(String),
    /// A whole number, for fields of any numeric type.
    Int(i64),
    /// A finite floating-point number, for fields of any numeric type.
    Double(f64),
    /// True or false.
    Bool(bool),
}

/// By what a count can be grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The status.
    ExecutionStatus,
    /// A keyword that has few values: the division, or an attribute reserved for such.
    Keyword(String),
}

impl Query {
    /// Parses a query, with its leading and trailing blanks.
    pub fn parse(text: &str, names: &Names<'_>) -> Result<Self, QueryError> {
        convert::query(text, names)
    }

    /// The one division that records must be of, when the filter demands one at its top: `Some(None)` for
    /// records without a division.
    pub fn division(&self) -> Option<Option<&str>> {
        let division = Field::division();
        let demand =
            |filter: &'_ Filter| matches!(filter, Filter::IsNull { field, negated: false } if *field == division);
        let conjuncts: &[Filter] = match self.filter.as_ref()? {
            Filter::All(all) => all,
            one => std::slice::from_ref(one),
        };
        if conjuncts.iter().any(demand) {
            return Some(None);
        }
        conjuncts.iter().find_map(|filter| match filter {
            Filter::Compare { field, comparison: Comparison::Equal, value: Scalar::Keyword(value) }
                if *field == division =>
            {
                Some(Some(value.as_str()))
            }
            _ => None,
        })
    }
}
