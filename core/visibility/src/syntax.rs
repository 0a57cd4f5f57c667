//! The syntax: conditions as MySQL writes them, plus `STARTS_WITH`.
//!
//! A parser for all of SQL does the work, kept on a short lead: words that are no keywords of this language
//! are names to it.

use sqlparser::{
    ast::Expr,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word},
};

use crate::{
    QueryError,
    dialect::{self, FilterDialect},
};

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
    pub(crate) order_by: Vec<Expr>,
    pub(crate) has_limit: bool,
}

/// Splits a query, which has no blanks around it, into its parts.
pub(crate) fn parse(text: &str) -> Result<Parsed, QueryError> {
    let dialect = FilterDialect;
    let lower = |count: usize| text.get(..count).map(str::to_ascii_lowercase);
    let is_tail = ["order by", "group by"].into_iter().any(|head| lower(head.len()).as_deref() == Some(head));
    let source = Source { text, before: STATEMENT + if is_tail || text.is_empty() { 0 } else { WHERE } };

    let (tokens, end) = source.tokens(&dialect);
    let operators = tokens.iter().filter(|token| is_operator(&token.token)).count();
    if tokens.len() > TOKENS_MAX || operators > OPERATORS_MAX {
        return Err(QueryError::malformed(format!(
            "a query has at most {TOKENS_MAX} tokens and {OPERATORS_MAX} operators"
        )));
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    match parts(&mut parser, is_tail || text.is_empty()) {
        Ok(parsed) if end.is_whole => Ok(parsed),
        Ok(_) | Err(ParserError::TokenizerError(_)) => Err(QueryError::malformed(end.error)),
        Err(ParserError::RecursionLimitExceeded) => {
            Err(QueryError::malformed(format!("conditions may be nested {NESTING_MAX} deep at most")))
        }
        Err(ParserError::ParserError(text)) => Err(QueryError::malformed(match found(&parser, &text) {
            Some(token) => source.error_at(token),
            None => end.error,
        })),
    }
}

fn parts(parser: &mut Parser<'_>, is_tail: bool) -> Result<Parsed, ParserError> {
    let mut parsed = Parsed { condition: None, group_by: Vec::new(), order_by: Vec::new(), has_limit: false };
    if !is_tail {
        parsed.condition = Some(parser.parse_expr()?);
    }
    if parser.parse_keyword(Keyword::GROUP) {
        parser.expect_keyword(Keyword::BY)?;
        parsed.group_by = parser.parse_comma_separated(|parser| parser.parse_expr())?;
    }
    if parser.parse_keyword(Keyword::HAVING) {
        // Accepted and without effect, as ever.
        parser.parse_expr()?;
    }
    if parser.parse_keyword(Keyword::ORDER) {
        parser.expect_keyword(Keyword::BY)?;
        parsed.order_by = parser.parse_comma_separated(|parser| {
            let by = parser.parse_expr()?;
            let _ = parser.parse_keyword(Keyword::ASC) || parser.parse_keyword(Keyword::DESC);
            Ok(by)
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

/// What comes after the last token.
struct End {
    /// Nothing does. Otherwise something that is no token of the language.
    is_whole: bool,
    /// The error if more should have come.
    error: String,
}

impl Source<'_> {
    /// The tokens up to the end or the first mistake.
    fn tokens(&self, dialect: &FilterDialect) -> (Vec<TokenWithSpan>, End) {
        let mut tokens = Vec::new();
        let tokenized = Tokenizer::new(dialect, self.text).tokenize_with_location_into_buf(&mut tokens);
        tokens.iter_mut().for_each(dialect::adapt);
        let mistake = (0..tokens.len()).find_map(|at| Some((at, self.mistake(&tokens, at)?)));
        let end = match (mistake, tokenized) {
            (Some((at, error)), _) => {
                tokens.truncate(at);
                End { is_whole: false, error }
            }
            (None, Err(_)) => {
                let begin = tokens.last().map_or(0, |token| self.offset(token.span.end));
                End { is_whole: false, error: self.error_within(begin) }
            }
            (None, Ok(())) => End { is_whole: true, error: self.error_after(self.text.len(), None) },
        };
        (tokens, end)
    }

    /// The error for what is a token of other databases only, or written otherwise there.
    fn mistake(&self, tokens: &[TokenWithSpan], at: usize) -> Option<String> {
        let token = tokens.get(at)?;
        let next = tokens.get(at + 1).map(|next| &next.token);
        let mut earlier = tokens.iter().take(at).rev().map(|token| &token.token);
        let before = earlier.find(|token| !matches!(token, Token::Whitespace(_)));
        let letter = match &token.token {
            Token::Word(Word { value, quote_style: Some(_), .. }) if value.is_empty() => {
                return Some(self.error_at(token));
            }
            Token::Number(..) if matches!(next, Some(Token::Word(Word { quote_style: None, .. }))) => {
                return Some(self.error_at(token));
            }
            Token::NationalStringLiteral(_) => return Some(self.error_at(token)),
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::Mul
                if before == Some(&Token::Period) =>
            {
                return Some(self.error_at(token));
            }
            // The parser takes any word for the name of a collation, and fields of any value.
            Token::Word(word) if dialect::is_keyword(word) && dialect::is_collate(before) => {
                return Some(self.error_at(token));
            }
            Token::Period if !matches!(before, Some(Token::Word(_))) => return Some(self.error_at(token)),
            // A name has three parts at most.
            Token::Period if is_full_name(tokens.get(..at)?) => return Some(self.error_at(token)),
            Token::Colon if !matches!(next, Some(Token::Word(_))) => ':',
            Token::Backslash => '\\',
            Token::LBracket => '[',
            Token::RBracket => ']',
            Token::LBrace => '{',
            Token::RBrace => '}',
            Token::Placeholder(name) if name.starts_with('$') => '$',
            Token::Char(letter) => *letter,
            _ => return None,
        };
        // Temporal reads bytes.
        let shown = if letter.is_ascii() { letter } else { char::REPLACEMENT_CHARACTER };
        let end = self.offset(token.span.start) + 1;
        Some(self.error_after(end, Some(shown.encode_utf8(&mut [0; 4]))))
    }

    /// Temporal's text for a token that does not belong where it is.
    fn error_at(&self, token: &TokenWithSpan) -> String {
        self.error_after(self.offset(token.span.end), near(&token.token).as_deref())
    }

    /// Temporal's text for a literal or comment that begins here and does not end.
    fn error_within(&self, begin: usize) -> String {
        let literal = self.text.get(begin..).unwrap_or("");
        // Bits have a letter before their quote.
        let bits = literal.strip_prefix(['x', 'X', 'b', 'B']).filter(|rest| rest.starts_with('\''));
        let read = unquoted(bits.unwrap_or(literal));
        self.error_after(self.text.len(), Some(&*read).filter(|read| !read.is_empty()))
    }

    /// Temporal's text for what stands before a place.
    fn error_after(&self, end: usize, near: Option<&str>) -> String {
        let position = self.before + end + 1;
        match near {
            Some(near) => format!("syntax error at position {position} near '{near}'"),
            None => format!("syntax error at position {position}"),
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

/// What a literal that does not end has in its quotes, as far as it goes; a comment as it is.
fn unquoted(literal: &str) -> String {
    let mut letters = literal.chars().peekable();
    let Some(quote) = letters.next_if(|letter| matches!(letter, '\'' | '"' | '`')) else { return literal.to_owned() };
    let mut read = String::new();
    while let Some(letter) = letters.next() {
        if letter == '\\' && quote != '`' {
            read.extend(letters.next());
            continue;
        }
        // Of two quotes in a row, one is meant.
        if letter == quote {
            let _ = letters.next();
        }
        read.push(letter);
    }
    read
}

/// Whether tokens end in a name of three parts.
fn is_full_name(tokens: &[TokenWithSpan]) -> bool {
    let mut last = tokens.iter().rev().map(|token| &token.token);
    let is_word = |token: Option<&Token>| matches!(token, Some(Token::Word(_)));
    let is_dot = |token: Option<&Token>| matches!(token, Some(Token::Period));
    is_word(last.next()) && is_dot(last.next()) && is_word(last.next()) && is_dot(last.next()) && is_word(last.next())
}

/// The token as errors quote it.
fn near(token: &Token) -> Option<String> {
    let near = match token {
        Token::Word(word) if dialect::is_keyword(word) => word.value.to_ascii_lowercase(),
        Token::Word(word) => word.value.clone(),
        Token::Number(text, _)
        | Token::SingleQuotedString(text)
        | Token::DoubleQuotedString(text)
        | Token::NationalStringLiteral(text) => text.clone(),
        Token::AtSign => "@".to_owned(),
        _ => String::new(),
    };
    Some(near).filter(|near| !near.is_empty())
}

/// The token that the parser's error is about: it names its place at the end of its text. `None` for the end
/// of the query.
fn found<'a>(parser: &'a Parser<'_>, error: &str) -> Option<&'a TokenWithSpan> {
    let (_, place) = error.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let place = Location { line: line.parse().ok()?, column: column.parse().ok()? };
    let mut tokens = (0..).map(|index| parser.token_at(index)).take_while(|token| token.token != Token::EOF);
    tokens.find(|token| token.span.start == place)
}
