//! Reads the filters of worker lists: the conditions of an SQL `where` clause.
//!
//! What the grammar allows and the filter cannot answer (`in`, `like`, functions, arithmetic on columns) is
//! read as [`Expr::Unsupported`]: as on Temporal, such a condition matches no worker.

use std::fmt;

/// Nesting that a filter may have; deeper ones are refused.
const DEPTH_MAX: usize = 100;

/// Positions in texts of errors count from the start of the statement that Temporal makes of a filter.
const STATEMENT: &str = "select * from table1 where ";

/// Words that begin or join clauses, so that they name no column.
const RESERVED: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "desc",
    "distinct",
    "div",
    "else",
    "end",
    "exists",
    "false",
    "for",
    "from",
    "group",
    "having",
    "in",
    "into",
    "is",
    "join",
    "like",
    "limit",
    "lock",
    "mod",
    "not",
    "null",
    "on",
    "or",
    "order",
    "regexp",
    "rlike",
    "select",
    "set",
    "starts_with",
    "then",
    "true",
    "union",
    "using",
    "values",
    "when",
    "where",
    "xor",
];

/// Why a filter is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// It is no list of conditions.
    Malformed {
        /// Where reading ended, counted in bytes from 1.
        position: usize,
        /// The word at which it ended.
        near: Option<String>,
    },
    /// It begins like a whole statement.
    Statement(String),
    /// It limits the number of rows.
    Limit,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { position, near } => {
                write!(f, "malformed query: syntax error at position {position}")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, " near '{near}'"))
            }
            Self::Statement(query) => write!(f, "invalid filter: {query}"),
            Self::Limit => f.write_str("operation is not supported: 'limit' clause"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    StartsWith,
    NotStartsWith,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Column(String),
    Text(String),
    Number(String),
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare { left: Operand, comparison: Comparison, right: Operand },
    Between { left: Operand, negated: bool, from: Operand, to: Operand },
    IsNull { left: Operand, negated: bool },
    Unsupported,
}

/// Reads a filter that is not empty.
pub(super) fn parse(query: &str) -> Result<Expr, QueryError> {
    let query = query.trim();
    let lower = query.to_lowercase();
    if lower.starts_with("where ") || lower.starts_with("select ") {
        return Err(QueryError::Statement(query.to_owned()));
    }
    if query.is_empty() {
        return Err(QueryError::Malformed { position: 1, near: None });
    }
    let mut parser = Parser { text: query, at: 0, token: Token::End };
    parser.advance();
    let expr = parser.disjunction(0)?;
    parser.tail()?;
    Ok(expr)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// As written, and whether it stood in backticks.
    Word(String, bool),
    Text(String),
    Number(String),
    Symbol(&'static str),
    /// A character that begins nothing.
    Bad,
    End,
}

struct Parser<'a> {
    text: &'a str,
    /// The end of `token`.
    at: usize,
    token: Token,
}

const SYMBOLS: &[&str] =
    &["<=>", "<=", ">=", "<>", "!=", "=", "<", ">", "(", ")", ",", ".", "-", "+", "*", "/", "%", "&", "|", "^", ";"];

impl Parser<'_> {
    fn advance(&mut self) -> Token {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        let next = self.scan(trimmed);
        std::mem::replace(&mut self.token, next)
    }

    fn scan(&mut self, rest: &str) -> Token {
        let Some(first) = rest.chars().next() else { return Token::End };
        if matches!(first, '\'' | '"' | '`') {
            return self.quoted(rest, first);
        }
        let length = |part: fn(char) -> bool| rest.find(|c| !part(c)).unwrap_or(rest.len());
        if first.is_alphabetic() || first == '_' || first == '@' {
            let length = length(|c| c.is_alphanumeric() || matches!(c, '_' | '@' | '$'));
            self.at += length;
            return Token::Word(rest[..length].to_owned(), false);
        }
        if first.is_ascii_digit() {
            let length = length(|c| c.is_ascii_alphanumeric() || c == '.');
            self.at += length;
            return Token::Number(rest[..length].to_owned());
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Token::Symbol(symbol)
            }
            None => {
                self.at += first.len_utf8();
                Token::Bad
            }
        }
    }

    /// A doubled quote stands for itself, a backslash for the character after it.
    fn quoted(&mut self, rest: &str, quote: char) -> Token {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((index, c)) = chars.next() {
            if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                    text.push(quote);
                    continue;
                }
                self.at += index + 1;
                return if quote == '`' { Token::Word(text, true) } else { Token::Text(text) };
            }
            if c == '\\' && quote != '`' {
                text.extend(chars.next().map(|(_, escaped)| escaped));
            } else {
                text.push(c);
            }
        }
        self.at = self.text.len();
        Token::Bad
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(found, false) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(&self.token, Token::Symbol(found) if *found == symbol);
        if found {
            self.advance();
        }
        found
    }

    fn need_symbol(&mut self, symbol: &str) -> Result<(), QueryError> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.malformed()) }
    }

    fn malformed(&self) -> QueryError {
        let near = match &self.token {
            Token::Word(word, false) if is_reserved(word) => Some(word.to_lowercase()),
            Token::Word(text, _) | Token::Text(text) | Token::Number(text) => Some(text.clone()),
            Token::Symbol(_) | Token::Bad | Token::End => None,
        };
        QueryError::Malformed { position: STATEMENT.len() + self.at + 1, near }
    }

    fn disjunction(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut expr = self.conjunction(depth)?;
        while self.take_word("or") {
            expr = Expr::Or(Box::new(expr), Box::new(self.conjunction(depth)?));
        }
        Ok(expr)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut expr = self.negation(depth)?;
        while self.take_word("and") {
            expr = Expr::And(Box::new(expr), Box::new(self.negation(depth)?));
        }
        Ok(expr)
    }

    fn negation(&mut self, depth: usize) -> Result<Expr, QueryError> {
        if depth >= DEPTH_MAX {
            return Err(self.malformed());
        }
        if self.take_word("not") {
            self.negation(depth + 1)?;
            return Ok(Expr::Unsupported);
        }
        if self.take_symbol("(") {
            let expr = self.disjunction(depth + 1)?;
            self.need_symbol(")")?;
            return Ok(expr);
        }
        self.condition(depth)
    }

    fn condition(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let left = self.operand(depth)?;
        if self.take_word("is") {
            let negated = self.take_word("not");
            if self.take_word("null") {
                return Ok(Expr::IsNull { left, negated });
            }
            return if self.take_word("true") || self.take_word("false") {
                Ok(Expr::Unsupported)
            } else {
                Err(self.malformed())
            };
        }
        if let Token::Symbol(symbol) = self.token
            && let Some(comparison) = comparison(symbol)
        {
            self.advance();
            let right = self.operand(depth)?;
            return Ok(comparison.map_or(Expr::Unsupported, |comparison| Expr::Compare { left, comparison, right }));
        }
        let negated = self.take_word("not");
        if self.take_word("between") {
            let from = self.operand(depth)?;
            if !self.take_word("and") {
                return Err(self.malformed());
            }
            let to = self.operand(depth)?;
            return Ok(Expr::Between { left, negated, from, to });
        }
        if self.take_word("starts_with") {
            let comparison = if negated { Comparison::NotStartsWith } else { Comparison::StartsWith };
            return Ok(Expr::Compare { left, comparison, right: self.operand(depth)? });
        }
        if self.take_word("in") {
            self.need_symbol("(")?;
            self.list(depth)?;
            self.need_symbol(")")?;
            return Ok(Expr::Unsupported);
        }
        if self.take_word("like") || self.take_word("regexp") || self.take_word("rlike") {
            self.operand(depth)?;
            return Ok(Expr::Unsupported);
        }
        if negated { Err(self.malformed()) } else { Ok(Expr::Unsupported) }
    }

    fn list(&mut self, depth: usize) -> Result<(), QueryError> {
        loop {
            self.operand(depth)?;
            if !self.take_symbol(",") {
                return Ok(());
            }
        }
    }

    /// Operands joined by arithmetic are read and not answered.
    fn operand(&mut self, depth: usize) -> Result<Operand, QueryError> {
        let first = self.factor(depth)?;
        let mut joined = false;
        while ["+", "-", "*", "/", "%", "&", "|", "^"].iter().any(|symbol| self.take_symbol(symbol)) {
            self.factor(depth)?;
            joined = true;
        }
        Ok(if joined { Operand::Other } else { first })
    }

    fn factor(&mut self, depth: usize) -> Result<Operand, QueryError> {
        if depth >= DEPTH_MAX {
            return Err(self.malformed());
        }
        if self.take_symbol("-") {
            return Ok(match self.factor(depth + 1)? {
                Operand::Number(number) => Operand::Number(format!("-{number}")),
                Operand::Column(_) | Operand::Text(_) | Operand::Other => Operand::Other,
            });
        }
        if self.take_symbol("(") {
            self.list(depth + 1)?;
            self.need_symbol(")")?;
            return Ok(Operand::Other);
        }
        match self.token.clone() {
            Token::Text(text) => {
                self.advance();
                Ok(Operand::Text(text))
            }
            Token::Number(number) => {
                self.advance();
                Ok(Operand::Number(number))
            }
            Token::Word(word, false) if is_constant(&word) => {
                self.advance();
                Ok(Operand::Other)
            }
            Token::Word(word, quoted) if quoted || !is_reserved(&word) => {
                self.advance();
                self.named(&word, quoted, depth)
            }
            Token::Word(..) | Token::Symbol(_) | Token::Bad | Token::End => Err(self.malformed()),
        }
    }

    /// A column, or a function with its arguments.
    fn named(&mut self, word: &str, quoted: bool, depth: usize) -> Result<Operand, QueryError> {
        if !quoted && self.take_symbol("(") {
            if !self.take_symbol("*") && self.token != Token::Symbol(")") {
                self.list(depth + 1)?;
            }
            self.need_symbol(")")?;
            return Ok(Operand::Other);
        }
        // `status` is a word of SQL's own, which Temporal's parser makes lower case.
        let mut name = if !quoted && word.eq_ignore_ascii_case("status") { "status".into() } else { word.to_owned() };
        while self.take_symbol(".") {
            let Token::Word(part, _) = self.advance() else { return Err(self.malformed()) };
            name = format!("{name}.{part}");
        }
        Ok(Operand::Column(name))
    }

    /// What may follow the conditions. Orders and groups change nothing.
    fn tail(&mut self) -> Result<(), QueryError> {
        if self.take_word("group") {
            self.sorting()?;
        }
        if self.take_word("order") {
            self.sorting()?;
        }
        let limited = self.take_word("limit");
        if limited {
            self.list(0)?;
        }
        self.take_symbol(";");
        match self.token {
            Token::End if limited => Err(QueryError::Limit),
            Token::End => Ok(()),
            Token::Word(..) | Token::Text(_) | Token::Number(_) | Token::Symbol(_) | Token::Bad => {
                Err(self.malformed())
            }
        }
    }

    fn sorting(&mut self) -> Result<(), QueryError> {
        if !self.take_word("by") {
            return Err(self.malformed());
        }
        loop {
            self.operand(0)?;
            if !self.take_word("asc") {
                self.take_word("desc");
            }
            if !self.take_symbol(",") {
                return Ok(());
            }
        }
    }
}

/// `None` when the symbol compares nothing; `Some(None)` when it compares in a way that is not answered.
fn comparison(symbol: &str) -> Option<Option<Comparison>> {
    match symbol {
        "=" => Some(Some(Comparison::Equal)),
        "!=" | "<>" => Some(Some(Comparison::NotEqual)),
        "<" => Some(Some(Comparison::Less)),
        "<=" => Some(Some(Comparison::LessOrEqual)),
        ">" => Some(Some(Comparison::Greater)),
        ">=" => Some(Some(Comparison::GreaterOrEqual)),
        "<=>" => Some(None),
        _no_comparison => None,
    }
}

fn is_constant(word: &str) -> bool {
    ["true", "false", "null"].iter().any(|constant| word.eq_ignore_ascii_case(constant))
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}
