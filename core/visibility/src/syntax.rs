//! The syntax: conditions as MySQL writes them, plus `STARTS_WITH`.
//!
//! A parser for all of SQL does the work, kept on a short lead: words that are no keywords of this language
//! are names to it.

use std::any::TypeId;

use sqlparser::{
    ast::{BinaryOperator, Expr},
    dialect::{Dialect, MySqlDialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word},
};

use crate::QueryError;

/// The operator that SQL does not have.
pub(crate) const STARTS_WITH: &str = "STARTS_WITH";
/// Its opposite.
pub(crate) const NOT_STARTS_WITH: &str = "NOT STARTS_WITH";

/// Most words, signs and blanks of a query.
const TOKENS_MAX: usize = 40_000;

/// Most operators of a query: the parsed tree is as deep as a chain of them is long.
const OPERATORS_MAX: usize = 1_000;

/// Deepest nesting of parentheses and the like.
const NESTING_MAX: usize = 50;

/// What Temporal puts before a query to make a statement of it: positions in its errors count from there.
const STATEMENT: usize = "select * from table1 ".len();
const WHERE: usize = "where ".len();

/// A query's parts.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) condition: Option<Expr>,
    pub(crate) group_by: Vec<Expr>,
    pub(crate) has_order: bool,
    pub(crate) has_limit: bool,
}

/// Keywords of the language; every other word is a name.
const KEYWORDS: [Keyword; 37] = [
    Keyword::AND,
    Keyword::AS,
    Keyword::ASC,
    Keyword::BETWEEN,
    Keyword::BY,
    Keyword::CASE,
    Keyword::COLLATE,
    Keyword::DESC,
    Keyword::DIV,
    Keyword::DROP,
    Keyword::ELSE,
    Keyword::END,
    Keyword::ESCAPE,
    Keyword::EXISTS,
    Keyword::FALSE,
    Keyword::FOR,
    Keyword::FROM,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::IN,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::LIMIT,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::OFFSET,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::REGEXP,
    Keyword::RLIKE,
    Keyword::SELECT,
    Keyword::THEN,
    Keyword::TRUE,
    Keyword::UNION,
    Keyword::WHEN,
    Keyword::WHERE,
    Keyword::XOR,
];

/// Keywords that end a condition.
const ENDS: [Keyword; 12] = [
    Keyword::ASC,
    Keyword::DESC,
    Keyword::ESCAPE,
    Keyword::DROP,
    Keyword::FOR,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::LIMIT,
    Keyword::ORDER,
    Keyword::UNION,
    Keyword::WHERE,
    Keyword::XOR,
];

/// Splits a query, which has no blanks around it, into its parts.
pub(crate) fn parse(text: &str) -> Result<Parsed, QueryError> {
    let dialect = FilterDialect;
    let lower = |count: usize| text.get(..count).map(str::to_ascii_lowercase);
    let is_tail = ["order by", "group by"].into_iter().any(|head| lower(head.len()).as_deref() == Some(head));
    let source = Source { text, before: STATEMENT + if is_tail || text.is_empty() { 0 } else { WHERE } };

    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| QueryError::malformed(source.error_within(error.location)))?;
    let operators = tokens.iter().filter(|token| is_operator(&token.token)).count();
    if tokens.len() > TOKENS_MAX || operators > OPERATORS_MAX {
        return Err(QueryError::malformed(format!(
            "a query has at most {TOKENS_MAX} tokens and {OPERATORS_MAX} operators"
        )));
    }
    tokens.iter_mut().for_each(|token| demote(&mut token.token));

    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let parsed = parts(&mut parser, is_tail || text.is_empty());
    parsed.map_err(|error| match error {
        ParserError::RecursionLimitExceeded => {
            QueryError::malformed(format!("conditions may be nested {NESTING_MAX} deep at most"))
        }
        ParserError::ParserError(text) => QueryError::malformed(source.error_at(found(&parser, &text))),
        ParserError::TokenizerError(_) => QueryError::malformed(source.error_at(None)),
    })
}

fn parts(parser: &mut Parser<'_>, is_tail: bool) -> Result<Parsed, ParserError> {
    let mut parsed = Parsed { condition: None, group_by: Vec::new(), has_order: false, has_limit: false };
    if !is_tail {
        if matches!(&parser.peek_token_ref().token, Token::Word(word) if ENDS.contains(&word.keyword)) {
            return parser.expected("a condition", parser.peek_token());
        }
        parsed.condition = Some(parser.parse_expr()?);
    }
    if parser.parse_keywords(&[Keyword::GROUP, Keyword::BY]) {
        parsed.group_by = parser.parse_comma_separated(|parser| parser.parse_expr())?;
    }
    if parser.parse_keyword(Keyword::HAVING) {
        // Accepted and without effect, as ever.
        parser.parse_expr()?;
    }
    if parser.parse_keywords(&[Keyword::ORDER, Keyword::BY]) {
        parsed.has_order = true;
        parser.parse_comma_separated(|parser| {
            parser.parse_expr()?;
            let _ = parser.parse_keyword(Keyword::ASC) || parser.parse_keyword(Keyword::DESC);
            Ok(())
        })?;
    }
    if parser.parse_keyword(Keyword::LIMIT) {
        parsed.has_limit = true;
        parser.parse_expr()?;
        if parser.consume_token(&Token::Comma) || parser.parse_keyword(Keyword::OFFSET) {
            parser.parse_expr()?;
        }
    }
    let _ = parser.consume_token(&Token::SemiColon);
    match parser.peek_token().token {
        Token::EOF => Ok(parsed),
        _ => parser.expected("end of query", parser.peek_token()),
    }
}

/// Makes a name of a word that is no keyword here, and of one in quotes.
fn demote(token: &mut Token) {
    if let Token::Word(word) = token
        && !KEYWORDS.contains(&word.keyword)
    {
        word.keyword = Keyword::NoKeyword;
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::COLLATE)
        }
        Token::Whitespace(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_) => false,
        _ => true,
    }
}

/// Where tokens are, as Temporal counts.
struct Source<'a> {
    text: &'a str,
    before: usize,
}

impl Source<'_> {
    /// Temporal's text for a token that does not belong where it is; `None` for the end of the query.
    fn error_at(&self, token: Option<&TokenWithSpan>) -> String {
        let Some(token) = token.filter(|token| token.token != Token::EOF) else {
            return format!("syntax error at position {}", self.before + self.text.len() + 1);
        };
        let position = self.before + self.offset(token.span.end) + 1;
        match near(&token.token) {
            Some(near) => format!("syntax error at position {position} near '{near}'"),
            None => format!("syntax error at position {position}"),
        }
    }

    /// Temporal's text for a literal that begins here and does not end.
    fn error_within(&self, begin: Location) -> String {
        let error = self.error_at(None);
        match self.text.get(self.offset(begin)..).map(|literal| literal.trim_start_matches(['\'', '"', '`'])) {
            None | Some("") => error,
            Some(literal) => format!("{error} near '{literal}'"),
        }
    }

    /// Bytes before a place: lines and columns count letters from 1.
    fn offset(&self, place: Location) -> usize {
        let mut lines = self.text.split_inclusive('\n');
        let skipped: usize =
            lines.by_ref().take(usize::try_from(place.line.saturating_sub(1)).unwrap_or(0)).map(str::len).sum();
        let letters = usize::try_from(place.column.saturating_sub(1)).unwrap_or(0);
        let within: usize = lines.next().unwrap_or("").chars().take(letters).map(char::len_utf8).sum();
        skipped + within
    }
}

/// The token as errors quote it.
fn near(token: &Token) -> Option<String> {
    match token {
        Token::Word(Word { value, quote_style: None, keyword }) if *keyword != Keyword::NoKeyword => {
            Some(value.to_ascii_lowercase())
        }
        Token::Word(word) => Some(word.value.clone()),
        Token::Number(number, _) => Some(number.clone()),
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// The token that the parser's error is about: it names its place at the end of its text.
fn found<'a>(parser: &'a Parser<'_>, error: &str) -> Option<&'a TokenWithSpan> {
    let (_, place) = error.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let place = Location { line: line.parse().ok()?, column: column.parse().ok()? };
    let here = [parser.get_current_token(), parser.peek_token_ref()];
    here.into_iter().find(|token| token.span.start == place)
}

/// MySQL's way of writing literals and names; the operators of filters.
#[derive(Debug)]
struct FilterDialect;

impl Dialect for FilterDialect {
    /// The parser asks for dialects by their type where a trait method is missing.
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        letter == '`'
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        letter.is_alphabetic() || letter == '_' || letter == '@'
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        self.is_identifier_start(letter) || letter.is_ascii_digit()
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    fn supports_in_empty_list(&self) -> bool {
        false
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.peek_token_ref().token {
            Token::Word(word) if ENDS.contains(&word.keyword) => 0,
            Token::Word(word) if is_starts_with(word) => self.prec_value(Precedence::Like),
            Token::Word(word) if word.keyword == Keyword::NOT => match &parser.peek_nth_token_ref(1).token {
                Token::Word(word) if is_starts_with(word) => self.prec_value(Precedence::Like),
                _ => return None,
            },
            Token::Overlap => self.prec_value(Precedence::And),
            Token::StringConcat => self.prec_value(Precedence::Or),
            _ => return None,
        };
        Some(Ok(precedence))
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let negated = match &parser.peek_token_ref().token {
            Token::Word(word) if is_starts_with(word) => false,
            Token::Word(word) if word.keyword == Keyword::NOT => match &parser.peek_nth_token_ref(1).token {
                Token::Word(word) if is_starts_with(word) => true,
                _ => return None,
            },
            Token::Overlap => return Some(binary(parser, left, BinaryOperator::And, precedence)),
            Token::StringConcat => return Some(binary(parser, left, BinaryOperator::Or, precedence)),
            _ => return None,
        };
        if negated {
            parser.next_token();
        }
        let name = if negated { NOT_STARTS_WITH } else { STARTS_WITH };
        Some(binary(parser, left, BinaryOperator::Custom(name.to_owned()), precedence))
    }
}

/// Takes the operator and what follows it.
fn binary(parser: &mut Parser<'_>, left: &Expr, op: BinaryOperator, precedence: u8) -> Result<Expr, ParserError> {
    parser.next_token();
    let right = Box::new(parser.parse_subexpr(precedence)?);
    Ok(Expr::BinaryOp { left: Box::new(left.clone()), op, right })
}

fn is_starts_with(word: &Word) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(STARTS_WITH)
}
