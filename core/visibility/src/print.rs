//! The tree as text: what parses to it again.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::{Field, Filter, GroupBy, Query, Scalar};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(filter) = &self.filter {
            write!(f, "{filter}")?;
        }
        let blank = if self.filter.is_some() { " " } else { "" };
        match &self.group_by {
            None => Ok(()),
            Some(GroupBy::ExecutionStatus) => write!(f, "{blank}GROUP BY ExecutionStatus"),
            Some(GroupBy::Keyword(name)) => write!(f, "{blank}GROUP BY {}", Name(name)),
        }
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |negated: bool| if negated { "NOT " } else { "" };
        match self {
            Self::All(all) => joined(f, all, " AND "),
            Self::Any(any) => joined(f, any, " OR "),
            Self::Not(filter) => write!(f, "NOT ({filter})"),
            Self::Compare { field, comparison, value } => write!(f, "{field} {} {value}", comparison.symbol()),
            Self::OneOf { field, negated, values } => {
                write!(f, "{field} {}IN (", not(*negated))?;
                listed(f, values)
            }
            Self::Between { field, negated, low, high } => {
                write!(f, "{field} {}BETWEEN {low} AND {high}", not(*negated))
            }
            Self::StartsWith { field, negated, prefix } => {
                write!(f, "{field} {}STARTS_WITH {}", not(*negated), Quoted(prefix))
            }
            Self::Holds { field, negated, keywords } => {
                write!(f, "{field} {}IN (", not(*negated))?;
                listed(f, &keywords.iter().map(|keyword| Quoted(keyword)).collect::<Vec<_>>())
            }
            Self::Mentions { field, negated, phrases } => {
                let phrase = |words: &Vec<String>| if words.is_empty() { "-".to_owned() } else { words.join("-") };
                let text = phrases.iter().map(phrase).collect::<Vec<_>>().join(" ");
                write!(f, "{field} {}= {}", if *negated { "!" } else { "" }, Quoted(&text))
            }
            Self::IsNull { field, negated } => write!(f, "{field} IS {}NULL", not(*negated)),
        }
    }
}

fn joined(f: &mut Formatter<'_>, filters: &[Filter], between: &str) -> fmt::Result {
    for (index, filter) in filters.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        match filter {
            Filter::All(_) | Filter::Any(_) => write!(f, "({filter})")?,
            one => write!(f, "{one}")?,
        }
    }
    Ok(())
}

fn listed<T: Display>(f: &mut Formatter<'_>, values: &[T]) -> fmt::Result {
    for (index, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
    }
    f.write_char(')')
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Name(self.name()).fmt(f)
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyword(keyword) => Quoted(keyword).fmt(f),
            Self::Int(int) => int.fmt(f),
            Self::Double(double) => write!(f, "{double:?}"),
            Self::Bool(bool) => bool.fmt(f),
        }
    }
}

/// A name between back quotes.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

/// A text between quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('\'')?;
        for letter in self.0.chars() {
            match letter {
                '\'' => f.write_str("''")?,
                '\\' => f.write_str("\\\\")?,
                letter => f.write_char(letter)?,
            }
        }
        f.write_char('\'')
    }
}
