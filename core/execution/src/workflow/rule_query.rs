//! The small language in which workflow rules say what they are about: comparisons of fields with values,
//! joined by `AND` and `OR`.

/// Bytes of a query that is looked at; longer ones match nothing.
const QUERY_SIZE_MAX: usize = 64 * 1024;

/// Parentheses within each other.
const DEPTH_MAX: usize = 100;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Query {
    And(Box<Query>, Box<Query>),
    Or(Box<Query>, Box<Query>),
    Compare { field: String, operator: Operator, value: Value },
    Between { field: String, from: Value, to: Value, not: bool },
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    StartsWith,
    NotStartsWith,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

/// A query that says nothing that can be understood, or asks for what a rule cannot ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Query {
    /// Reads a query.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > QUERY_SIZE_MAX {
            return Err(Malformed);
        }
        let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
        let query = parser.any()?;
        if parser.next == parser.tokens.len() { Ok(query) } else { Err(Malformed) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A field or a word of the language.
    Word(String),
    /// A field between back quotes.
    Field(String),
    Value(Value),
    Operator(Operator),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<Token>, Malformed> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            '\'' | '"' => quoted(rest, first).map(|(text, after)| (Token::Value(Value::Text(text)), after))?,
            '`' => quoted(rest, first).map(|(text, after)| (Token::Field(text), after))?,
            '=' | '!' | '<' | '>' => operator(rest).map(|(operator, after)| (Token::Operator(operator), after))?,
            '0'..='9' => {
                let (digits, after) = split(rest, |letter| letter.is_ascii_digit());
                (Token::Value(Value::Number(digits.parse().map_err(|_| Malformed)?)), after)
            }
            letter if letter.is_ascii_alphabetic() || letter == '_' => {
                let (word, after) = split(rest, |letter| letter.is_ascii_alphanumeric() || letter == '_');
                (Token::Word(word.to_owned()), after)
            }
            _ => return Err(Malformed),
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

/// What stands between two quotes. A doubled quote and one after a backslash are letters.
fn quoted(text: &str, quote: char) -> Result<(String, &str), Malformed> {
    let mut inner = String::new();
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            inner.push(letters.next().ok_or(Malformed)?.1);
        } else if letter != quote {
            inner.push(letter);
        } else if letters.next_if(|(_, next)| *next == quote).is_some() {
            inner.push(quote);
        } else {
            return Ok((inner, &text[at + quote.len_utf8()..]));
        }
    }
    Err(Malformed)
}

fn operator(text: &str) -> Result<(Operator, &str), Malformed> {
    // Longer ones first.
    let operators = [
        ("!=", Operator::NotEqual),
        ("<>", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("=", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let found = operators.iter().find_map(|(name, operator)| Some((*operator, text.strip_prefix(name)?)));
    found.ok_or(Malformed)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Query, Malformed> {
        let mut query = self.all()?;
        while self.word("or") {
            query = Query::Or(Box::new(query), Box::new(self.all()?));
        }
        Ok(query)
    }

    fn all(&mut self) -> Result<Query, Malformed> {
        let mut query = self.one()?;
        while self.word("and") {
            query = Query::And(Box::new(query), Box::new(self.one()?));
        }
        Ok(query)
    }

    fn one(&mut self) -> Result<Query, Malformed> {
        if self.take() == Some(Token::Open) {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(Malformed);
            }
            let query = self.any()?;
            self.depth -= 1;
            return if self.take() == Some(Token::Close) { Ok(query) } else { Err(Malformed) };
        }
        self.next -= 1;
        let field = match self.take() {
            Some(Token::Word(name) | Token::Field(name)) => name,
            Some(Token::Value(_) | Token::Operator(_) | Token::Open | Token::Close) | None => return Err(Malformed),
        };
        let not = self.word("not");
        if self.word("between") {
            let from = self.value()?;
            if !self.word("and") {
                return Err(Malformed);
            }
            let to = self.value()?;
            return Ok(Query::Between { field, from, to, not });
        }
        let operator = if self.word("starts_with") {
            if not { Operator::NotStartsWith } else { Operator::StartsWith }
        } else {
            match self.take() {
                Some(Token::Operator(operator)) if !not => operator,
                Some(_) | None => return Err(Malformed),
            }
        };
        Ok(Query::Compare { field, operator, value: self.value()? })
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    /// Takes the next token if it is this word of the language.
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.next), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        match self.take() {
            Some(Token::Value(value)) => Ok(value),
            Some(_) | None => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rules_may_ask() {
        let compare = |field: &str, operator, value| Query::Compare { field: field.to_owned(), operator, value };
        let text = |text: &str| Value::Text(text.to_owned());
        let a = compare("A", Operator::Equal, text("it's"));
        let b = compare("B", Operator::GreaterOrEqual, Value::Number(10));
        let c = compare("C", Operator::NotStartsWith, text("x"));
        let both = |left: &Query, right: &Query| Query::And(Box::new(left.clone()), Box::new(right.clone()));
        let either = |left: &Query, right: &Query| Query::Or(Box::new(left.clone()), Box::new(right.clone()));
        for (query, expected) in [
            ("A = 'it''s'", a.clone()),
            (r#" (`A`="it\'s") "#, a.clone()),
            ("A = 'it''s' and B>=10", both(&a, &b)),
            ("A = 'it''s' OR B >= 10 AND C NOT starts_with 'x'", either(&a, &both(&b, &c))),
            ("(A = 'it''s' OR B >= 10) AND C not STARTS_WITH 'x'", both(&either(&a, &b), &c)),
            (
                "T NOT BETWEEN 1 AND 'b'",
                Query::Between { field: "T".to_owned(), from: Value::Number(1), to: text("b"), not: true },
            ),
        ] {
            assert_eq!(Query::parse(query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let deep = format!("{}A=1{}", "(".repeat(101), ")".repeat(101));
        for query in [
            "",
            "A",
            "A =",
            "= 1",
            "1 = 1",
            "A = B",
            "A = 1 B = 2",
            "A = 'x",
            "(A = 1",
            "A = 1)",
            "not A = 1",
            "A not = 1",
            "A is null",
            "A in (1)",
            "A = -1",
            "A = 1.5",
            "A = 99999999999999999999",
            "where A = 1",
            "select * from A",
            "A contains 'x'",
            "A between 1",
            "A = 1 and",
            "A % 2",
            "f(A) = 1",
            "é = 1",
            &deep,
            &"A".repeat(QUERY_SIZE_MAX + 1),
        ] {
            assert_eq!(Query::parse(query), Err(Malformed), "{query}");
        }
    }
}
