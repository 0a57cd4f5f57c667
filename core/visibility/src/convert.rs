//! From syntax to the tree: every name, value and operator is checked here.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use crate::{
    Comparison, Field, Filter, GroupBy, Kind, Names, Query, QueryError, Scalar,
    dialect::{NOT_STARTS_WITH, STARTS_WITH, compares},
    literal::{self, Literal, go_quoted},
    syntax, text,
};

/// A query as a tree.
pub(crate) fn query(text: &str, names: &Names<'_>) -> Result<Query, QueryError> {
    let parsed = syntax::parse(text.trim())?;
    if parsed.has_limit {
        return Err(QueryError::unsupported("'LIMIT' clause"));
    }
    let mut converter = Converter { names, saw_division: false };
    let filter = parsed.condition.as_ref().map(|condition| converter.condition(condition)).transpose()?;
    let group_by = converter.group_by(&parsed.group_by)?;
    for by in &parsed.order_by {
        converter.column(by)?;
    }
    if !parsed.order_by.is_empty() {
        return Err(QueryError::unsupported("'ORDER BY' clause"));
    }
    // A query that does not say which division it is about means the one of its kind of execution.
    let division = (!converter.saw_division).then(|| match names.archetype {
        None => Filter::IsNull { field: Field::division(), negated: false },
        Some(archetype) => Filter::Compare {
            field: Field::division(),
            comparison: Comparison::Equal,
            value: Scalar::Keyword(archetype.division.to_owned()),
        },
    });
    let filter = match (division, filter) {
        (Some(division), Some(Filter::All(mut all))) => {
            all.insert(0, division);
            Some(Filter::All(all))
        }
        (Some(division), Some(filter)) => Some(Filter::All(vec![division, filter])),
        (division, filter) => division.or(filter),
    };
    Ok(Query { filter, group_by })
}

struct Converter<'a> {
    names: &'a Names<'a>,
    saw_division: bool,
}

/// What an operator is applied to: the name as the query has it, and what it means.
struct Column {
    alias: String,
    field: Field,
}

impl Converter<'_> {
    fn condition(&mut self, expr: &Expr) -> Result<Filter, QueryError> {
        match expr {
            Expr::Nested(inner) => self.condition(inner),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(Filter::Not(Box::new(self.condition(expr)?))),
            Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => self.chain(expr, op),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::Like { negated, expr, pattern, .. } => {
                self.refused(expr, if *negated { "NOT LIKE" } else { "LIKE" }, pattern)
            }
            Expr::RLike { negated, expr, pattern, .. } => {
                self.refused(expr, if *negated { "NOT REGEXP" } else { "REGEXP" }, pattern)
            }
            Expr::InList { expr, list, negated } => self.one_of(expr, list, *negated),
            Expr::InSubquery { expr, .. } => {
                self.column(expr)?;
                Err(QueryError::invalid("unexpected value type *sqlparser.Subquery"))
            }
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::IsNull(expr) => Ok(Filter::IsNull { field: self.column(expr)?.field, negated: false }),
            Expr::IsNotNull(expr) => Ok(Filter::IsNull { field: self.column(expr)?.field, negated: true }),
            Expr::IsTrue(expr) | Expr::IsNotTrue(expr) | Expr::IsFalse(expr) | Expr::IsNotFalse(expr) => {
                self.column(expr)?;
                Err(QueryError::invalid("'IS' operator can only be used as 'IS NULL' or 'IS NOT NULL'"))
            }
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Err(QueryError::invalid("incomplete expression")),
            Expr::Function(_) => Err(QueryError::unsupported("function expression")),
            other => Err(QueryError::unsupported(format!("expression of type {}", go_type(other)))),
        }
    }

    /// A chain of one connective, however long, as one node: the parser nests it to the left.
    fn chain(&mut self, expr: &Expr, connective: &BinaryOperator) -> Result<Filter, QueryError> {
        let mut parts = Vec::new();
        let mut rest = expr;
        while let Expr::BinaryOp { left, op, right } = rest
            && op == connective
        {
            parts.push(&**right);
            rest = left;
        }
        parts.push(rest);
        let is_and = *connective == BinaryOperator::And;
        let mut filters = Vec::with_capacity(parts.len());
        for part in parts.into_iter().rev() {
            match self.condition(part)? {
                Filter::All(all) if is_and => filters.extend(all),
                Filter::Any(any) if !is_and => filters.extend(any),
                filter => filters.push(filter),
            }
        }
        Ok(if is_and { Filter::All(filters) } else { Filter::Any(filters) })
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Filter, QueryError> {
        let comparison = match op {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            BinaryOperator::Spaceship => return self.refused(left, "<=>", right),
            BinaryOperator::Custom(name) if name == STARTS_WITH => return self.starts_with(left, false, right),
            BinaryOperator::Custom(name) if name == NOT_STARTS_WITH => return self.starts_with(left, true, right),
            // Arithmetic, which gives no truth.
            _ => return Err(QueryError::unsupported("expression of type *sqlparser.BinaryExpr")),
        };
        let Column { alias, field } = self.column(left)?;
        let value = value(&alias, &field, right)?;
        match field.kind() {
            Kind::KeywordList => match comparison {
                Comparison::Equal | Comparison::NotEqual => {
                    let negated = comparison == Comparison::NotEqual;
                    Ok(Filter::Holds { field, negated, keywords: vec![keyword(value)] })
                }
                other => Err(no_operator(&alias, &field, other.symbol())),
            },
            Kind::Text => match comparison {
                Comparison::Equal | Comparison::NotEqual => {
                    let phrases = text::phrases(&keyword(value));
                    Ok(Filter::Mentions { field, negated: comparison == Comparison::NotEqual, phrases })
                }
                other => Err(no_operator(&alias, &field, other.symbol())),
            },
            Kind::Bool | Kind::Datetime | Kind::Double | Kind::Int | Kind::Keyword => {
                Ok(Filter::Compare { field, comparison, value })
            }
        }
    }

    fn one_of(&mut self, left: &Expr, list: &[Expr], negated: bool) -> Result<Filter, QueryError> {
        let Column { alias, field } = self.column(left)?;
        let values = list.iter().map(|item| value(&alias, &field, item)).collect::<Result<Vec<_>, _>>()?;
        match field.kind() {
            Kind::KeywordList => {
                Ok(Filter::Holds { field, negated, keywords: values.into_iter().map(keyword).collect() })
            }
            Kind::Text => Err(no_operator(&alias, &field, if negated { "NOT IN" } else { "IN" })),
            Kind::Bool | Kind::Datetime | Kind::Double | Kind::Int | Kind::Keyword => {
                Ok(Filter::OneOf { field, negated, values })
            }
        }
    }

    fn starts_with(&mut self, left: &Expr, negated: bool, right: &Expr) -> Result<Filter, QueryError> {
        let Column { alias, field } = self.column(left)?;
        let value = value(&alias, &field, right)?;
        let operator = if negated { NOT_STARTS_WITH } else { STARTS_WITH };
        if field.kind() != Kind::Keyword {
            return Err(no_operator(&alias, &field, operator));
        }
        match value {
            Scalar::Keyword(prefix) => Ok(Filter::StartsWith { field, negated, prefix }),
            // A status, which is a number by now: its name is shown.
            Scalar::Int(_) | Scalar::Double(_) | Scalar::Bool(_) => {
                let shown = match (literal(right)?, value) {
                    (Literal::Text(name), _) => name,
                    (_, Scalar::Int(number)) => literal::status_of(number).unwrap_or_default().to_owned(),
                    (other, _) => other.shown().0,
                };
                Err(QueryError::invalid(format!(
                    "right-hand side of \"{}\" operator must be a literal string (got: {shown})",
                    operator.to_ascii_lowercase()
                )))
            }
        }
    }

    fn between(&mut self, left: &Expr, negated: bool, low: &Expr, high: &Expr) -> Result<Filter, QueryError> {
        let Column { alias, field } = self.column(left)?;
        match field.kind() {
            Kind::Datetime | Kind::Double | Kind::Int | Kind::Keyword => {}
            Kind::Bool | Kind::KeywordList | Kind::Text => {
                return Err(QueryError::invalid(format!(
                    "cannot do range condition on search attribute '{alias}' of type {}",
                    field.kind().name()
                )));
            }
        }
        let low = value(&alias, &field, low)?;
        let high = value(&alias, &field, high)?;
        Ok(Filter::Between { field, negated, low, high })
    }

    /// An operator that no type has.
    fn refused(&mut self, left: &Expr, operator: &str, right: &Expr) -> Result<Filter, QueryError> {
        let Column { alias, field } = self.column(left)?;
        value(&alias, &field, right)?;
        Err(no_operator(&alias, &field, operator))
    }

    fn column(&mut self, expr: &Expr) -> Result<Column, QueryError> {
        let alias = match expr {
            Expr::Identifier(name) => name.value.clone(),
            Expr::CompoundIdentifier(names) => {
                names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
            }
            other => return Err(QueryError::invalid(format!("must be a column name but was {}", go_type(other)))),
        };
        let field = self.names.resolve(&alias)?;
        self.saw_division |= field == Field::division();
        Ok(Column { alias, field })
    }

    fn group_by(&mut self, by: &[Expr]) -> Result<Option<GroupBy>, QueryError> {
        let by = match by {
            [] => return Ok(None),
            [by] => by,
            _ => return Err(QueryError::unsupported("'GROUP BY' clause supports only a single field")),
        };
        let Column { alias, field } = self.column(by)?;
        match field {
            Field::ExecutionStatus => Ok(Some(GroupBy::ExecutionStatus)),
            Field::Attribute(attribute)
                if attribute.name == perdure_kernel::visibility::NAMESPACE_DIVISION
                    || attribute.name.starts_with("TemporalLowCardinalityKeyword") =>
            {
                Ok(Some(GroupBy::Keyword(attribute.name)))
            }
            _ => {
                Err(QueryError::unsupported(format!("'GROUP BY' clause is not supported for search attribute {alias}")))
            }
        }
    }
}

fn no_operator(alias: &str, field: &Field, operator: &str) -> QueryError {
    QueryError::unsupported(format!(
        "operator '{operator}' not supported for {} type search attribute '{alias}'",
        field.kind().name()
    ))
}

/// The keyword of a value that was checked to be one.
fn keyword(value: Scalar) -> String {
    match value {
        Scalar::Keyword(keyword) => keyword,
        Scalar::Int(_) | Scalar::Double(_) | Scalar::Bool(_) => String::new(),
    }
}

/// A value for a field, of the field's type.
fn value(alias: &str, field: &Field, expr: &Expr) -> Result<Scalar, QueryError> {
    let literal = literal(expr)?;
    let mismatch = || {
        let (shown, go_type) = literal.shown();
        QueryError::invalid(format!(
            "invalid value type for search attribute {alias} of type {}: {shown} (type: {go_type})",
            field.kind().name()
        ))
    };
    let unexpected = |name: &str| {
        let (_, go_type) = literal.shown();
        QueryError::invalid(format!("unexpected value type {go_type} for search attribute {name}"))
    };
    match (field, &literal) {
        (_, Literal::Bool(bool)) if field.kind() == Kind::Bool => Ok(Scalar::Bool(*bool)),
        (_, Literal::Bool(_)) => Err(mismatch()),
        (Field::ExecutionStatus, Literal::Double(_)) => Err(unexpected("ExecutionStatus")),
        (Field::ExecutionStatus, Literal::Int(_) | Literal::Text(_)) => {
            literal::status(&literal).map(Scalar::Int).ok_or_else(|| {
                let shown = match &literal {
                    Literal::Text(name) => format!("'{name}'"),
                    other => other.shown().0,
                };
                QueryError::invalid(format!("invalid ExecutionStatus value {shown}"))
            })
        }
        (Field::ExecutionDuration, Literal::Double(_)) => Err(unexpected("ExecutionDuration")),
        (Field::ExecutionDuration, Literal::Text(text)) => literal::duration(text).map(Scalar::Int).ok_or_else(|| {
            QueryError::invalid(format!("invalid duration value for search attribute ExecutionDuration: {text}"))
        }),
        (_, literal) => match (field.kind(), literal) {
            (Kind::Int | Kind::Double | Kind::Datetime, Literal::Int(int)) => Ok(Scalar::Int(*int)),
            (Kind::Int | Kind::Double, Literal::Double(double)) => Ok(Scalar::Double(*double)),
            (Kind::Datetime, Literal::Text(text)) => literal::instant(text)
                .map(Scalar::Int)
                .ok_or_else(|| QueryError::invalid(format!("unable to parse datetime '{text}'"))),
            (Kind::Text, Literal::Text(text)) if text::phrases(text).is_empty() => {
                Err(QueryError::invalid(format!("no tokens found filtering on Text type search attribute {alias}")))
            }
            (Kind::Keyword | Kind::KeywordList | Kind::Text, Literal::Text(text)) => Ok(Scalar::Keyword(text.clone())),
            _ => Err(mismatch()),
        },
    }
}

fn literal(expr: &Expr) -> Result<Literal, QueryError> {
    let unparsable = |text: &str| QueryError::invalid(format!("unable to parse value {}", go_quoted(text)));
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Ok(Literal::Text(text.clone())),
            Value::Number(number, _) => Literal::number(number).ok_or_else(|| unparsable(number)),
            Value::Boolean(bool) => Ok(Literal::Bool(*bool)),
            Value::Null => Err(QueryError::invalid("unexpected value type *sqlparser.NullVal")),
            // A nameless parameter, which Temporal's parser gives a name.
            Value::Placeholder(name) if name == "?" => Err(unparsable(":v1")),
            other => Err(unparsable(&other.to_string())),
        },
        Expr::UnaryOp { op: op @ (UnaryOperator::Plus | UnaryOperator::Minus), expr: operand } => {
            if let Some(number) = whole(expr) {
                return Literal::number(&number).ok_or_else(|| unparsable(&number));
            }
            match (&**operand, op) {
                (Expr::Value(value), _) if is_opaque(&value.value) => literal(operand),
                // Not the sign of a zero.
                (Expr::Value(value), UnaryOperator::Minus) if is_number(&value.value) => match literal(operand)? {
                    Literal::Double(double) => Ok(Literal::Double(0.0 - double)),
                    other => Ok(other),
                },
                (Expr::Value(value), _) if is_number(&value.value) => literal(operand),
                (operand, _) => Err(QueryError::invalid(format!(
                    "unary operator not supported in {}",
                    go_quoted(&format!("{op}{}", operand_shown(operand)))
                ))),
            }
        }
        Expr::UnaryOp { op, .. } if *op != UnaryOperator::Not => {
            Err(QueryError::unsupported(format!("unary operator {}", go_quoted(&op.to_string()))))
        }
        Expr::Function(_) => Err(QueryError::unsupported("nested func")),
        Expr::Identifier(name) => Err(column_as_value(&name.value)),
        Expr::CompoundIdentifier(names) => {
            Err(column_as_value(&names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")))
        }
        other => Err(QueryError::invalid(format!("unexpected value type {}", go_type(other)))),
    }
}

fn column_as_value(name: &str) -> QueryError {
    QueryError::unsupported(format!(
        "column name on the right side of comparison expression (did you forget to quote {}?)",
        go_quoted(name)
    ))
}

/// What Temporal's errors call a part of the syntax.
fn go_type(expr: &Expr) -> &'static str {
    match expr {
        Expr::Value(value) => match value.value {
            Value::Boolean(_) => "sqlparser.BoolVal",
            Value::Null => "*sqlparser.NullVal",
            _ => "*sqlparser.SQLVal",
        },
        Expr::Nested(_) => "*sqlparser.ParenExpr",
        Expr::Tuple(_) => "sqlparser.ValTuple",
        Expr::Subquery(_) => "*sqlparser.Subquery",
        Expr::Exists { .. } => "*sqlparser.ExistsExpr",
        Expr::Function(_) => "*sqlparser.FuncExpr",
        Expr::Interval(_) => "*sqlparser.IntervalExpr",
        Expr::Case { .. } => "*sqlparser.CaseExpr",
        Expr::Collate { .. } => "*sqlparser.CollateExpr",
        Expr::UnaryOp { op: UnaryOperator::Not, .. } => "*sqlparser.NotExpr",
        Expr::UnaryOp { .. } if whole(expr).is_some() => "*sqlparser.SQLVal",
        Expr::UnaryOp { .. } => "*sqlparser.UnaryExpr",
        Expr::BinaryOp { op, .. } => match op {
            BinaryOperator::And => "*sqlparser.AndExpr",
            BinaryOperator::Or => "*sqlparser.OrExpr",
            op if compares(op) => "*sqlparser.ComparisonExpr",
            _ => "*sqlparser.BinaryExpr",
        },
        Expr::Like { .. } | Expr::RLike { .. } | Expr::InList { .. } | Expr::InSubquery { .. } => {
            "*sqlparser.ComparisonExpr"
        }
        Expr::Between { .. } => "*sqlparser.RangeCond",
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsFalse(_) => "*sqlparser.IsExpr",
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => "*sqlparser.ColName",
        _ => "sqlparser.Expr",
    }
}

/// A whole number with the signs before it, of which two cancel each other.
fn whole(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) if number.bytes().all(|digit| digit.is_ascii_digit()) => Some(number.clone()),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => whole(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            let number = whole(expr)?;
            Some(number.strip_prefix('-').map_or_else(|| format!("-{number}"), str::to_owned))
        }
        _ => None,
    }
}

/// What follows a sign, as Temporal's errors write it.
fn operand_shown(operand: &Expr) -> String {
    match operand {
        Expr::Value(value) if matches!(value.value, Value::Null | Value::Boolean(_)) => {
            operand.to_string().to_ascii_lowercase()
        }
        Expr::UnaryOp { .. } => format!(" {operand}"),
        other => other.to_string(),
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Number(..))
}

/// Whether a value is of a kind that filters do not have.
fn is_opaque(value: &Value) -> bool {
    !matches!(
        value,
        Value::Number(..)
            | Value::SingleQuotedString(_)
            | Value::DoubleQuotedString(_)
            | Value::Boolean(_)
            | Value::Null
    )
}
