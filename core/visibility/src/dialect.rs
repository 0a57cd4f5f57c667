//! How the parser for all of SQL is kept to the conditions that filters are made of.
//!
//! It takes more than Temporal does: words of the language as names, chains of comparisons, signs of other
//! databases. The dialect refuses those where they stand, so that errors name the token that Temporal's name.

use std::any::TypeId;

use sqlparser::{
    ast::{BinaryOperator, Expr, Ident, Interval, UnaryOperator},
    dialect::{Dialect, MySqlDialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan, Word},
};

/// The operator that SQL does not have.
pub(crate) const STARTS_WITH: &str = "STARTS_WITH";
/// Its opposite.
pub(crate) const NOT_STARTS_WITH: &str = "NOT STARTS_WITH";

/// Keywords of the language; every other word is a name.
const KEYWORDS: [Keyword; 38] = [
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
    Keyword::INTERVAL,
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

/// Makes a name of a word that is no keyword here, and a number of one that is written as `0x1F`.
pub(crate) fn adapt(token: &mut TokenWithSpan) {
    match &mut token.token {
        Token::Word(word) if !KEYWORDS.contains(&word.keyword) => word.keyword = Keyword::NoKeyword,
        Token::HexStringLiteral(digits) => {
            let letters = token.span.end.column.saturating_sub(token.span.start.column);
            // The other way is longer: `x'1F'`.
            if usize::try_from(letters).is_ok_and(|letters| letters == "0x".len() + digits.len()) {
                token.token = Token::Number(format!("0x{digits}"), false);
            }
        }
        _ => {}
    }
}

/// Whether a word is one of the language and no name.
pub(crate) fn is_keyword(word: &Word) -> bool {
    word.keyword != Keyword::NoKeyword || is_starts_with(word)
}

/// Whether what comes next is the name of a collation.
pub(crate) fn is_collate(before: Option<&Token>) -> bool {
    matches!(before, Some(Token::Word(word)) if word.keyword == Keyword::COLLATE)
}

/// MySQL's way of writing literals and names; the operators of filters.
#[derive(Debug)]
pub(crate) struct FilterDialect;

impl Dialect for FilterDialect {
    /// The parser asks for dialects by their type where a trait method is missing.
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        letter == '`'
    }

    /// Beyond ASCII, names stand between back quotes.
    fn is_identifier_start(&self, letter: char) -> bool {
        letter.is_ascii_alphabetic() || letter == '_' || letter == '@'
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        self.is_identifier_start(letter) || letter.is_ascii_digit()
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        KEYWORDS.contains(&keyword)
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_in_empty_list(&self) -> bool {
        false
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            // One comparison is no operand of another.
            Precedence::Like => MySqlDialect {}.prec_value(Precedence::Eq),
            other => MySqlDialect {}.prec_value(other),
        }
    }

    /// Without this, a keyword that begins no expression is a name.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let is_operand = wants_operand(&parser.get_current_token().token);
        match &parser.peek_token_ref().token {
            Token::ExclamationMark => Some(unary(parser, UnaryOperator::BangNot, Precedence::MulDivModOp)),
            // A letter of names, and so a name of its own.
            Token::AtSign => {
                parser.next_token();
                Some(Ok(Expr::Identifier(Ident::new("@"))))
            }
            Token::Word(word) => match word.keyword {
                Keyword::NOT if !is_operand => Some(unary(parser, UnaryOperator::Not, Precedence::UnaryNot)),
                Keyword::EXISTS if !is_operand => None,
                Keyword::INTERVAL => Some(interval(parser)),
                Keyword::NoKeyword if is_starts_with(word) => Some(misplaced(parser)),
                // A name, and not the character set of a text.
                Keyword::NoKeyword
                    if word.quote_style.is_none() && word.value.starts_with('_') && is_text(parser, 1) =>
                {
                    parser.next_token();
                    Some(misplaced(parser))
                }
                Keyword::NoKeyword
                | Keyword::CASE
                | Keyword::FALSE
                | Keyword::NULL
                | Keyword::OFFSET
                | Keyword::TRUE
                | Keyword::XOR => None,
                _ => Some(misplaced(parser)),
            },
            _ => None,
        }
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.peek_token_ref().token {
            Token::Word(word) if ENDS.contains(&word.keyword) => 0,
            Token::Word(word) if is_starts_with(word) || word.keyword == Keyword::NOT => {
                self.prec_value(Precedence::Like)
            }
            Token::Overlap => self.prec_value(Precedence::And),
            Token::StringConcat => self.prec_value(Precedence::Or),
            _ => return None,
        };
        Some(Ok(precedence))
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let op = match &parser.peek_token_ref().token {
            Token::Word(word) if matches!(word.keyword, Keyword::AND | Keyword::OR) => return None,
            Token::Word(word) if word.keyword == Keyword::IS => {
                let words = if is_one_of(parser, 1, &[Keyword::NOT]) { 2 } else { 1 };
                if is_one_of(parser, words, &[Keyword::NULL, Keyword::TRUE, Keyword::FALSE]) {
                    return None;
                }
                (0..words).for_each(|_| parser.advance_token());
                return Some(misplaced(parser));
            }
            Token::Overlap => BinaryOperator::And,
            Token::StringConcat => BinaryOperator::Or,
            // `a = b = c` and the like.
            _ if is_condition(left) => return Some(misplaced(parser)),
            Token::Word(word) if is_starts_with(word) => BinaryOperator::Custom(STARTS_WITH.to_owned()),
            Token::Word(word) => match word.keyword {
                Keyword::NOT => match &parser.peek_nth_token_ref(1).token {
                    Token::Word(word) if is_starts_with(word) => {
                        parser.next_token();
                        BinaryOperator::Custom(NOT_STARTS_WITH.to_owned())
                    }
                    Token::Word(word) if is_predicate(word.keyword) => return None,
                    // The parser takes `a NOT NULL` for `a IS NOT NULL`.
                    _ => {
                        parser.next_token();
                        return Some(misplaced(parser));
                    }
                },
                Keyword::DIV => BinaryOperator::MyIntegerDivide,
                keyword if is_predicate(keyword) => return None,
                _ => return Some(misplaced(parser)),
            },
            token if is_comparison(token) || is_arithmetic(token) => return None,
            // Signs of other databases.
            _ => return Some(misplaced(parser)),
        };
        parser.next_token();
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(right) }))
    }
}

/// Takes a sign and its operand.
fn unary(parser: &mut Parser<'_>, op: UnaryOperator, precedence: Precedence) -> Result<Expr, ParserError> {
    parser.next_token();
    let operand = parser.parse_subexpr(FilterDialect.prec_value(precedence))?;
    Ok(Expr::UnaryOp { op, expr: Box::new(operand) })
}

/// Takes an interval, whose unit is a name like any other.
fn interval(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.next_token();
    let value = Box::new(parser.parse_subexpr(FilterDialect.prec_value(Precedence::Eq))?);
    parser.parse_identifier()?;
    let (leading_field, leading_precision, last_field, fractional_seconds_precision) = (None, None, None, None);
    Ok(Expr::Interval(Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision }))
}

/// The error for a token that does not belong where it is.
fn misplaced(parser: &Parser<'_>) -> Result<Expr, ParserError> {
    parser.expected_ref("something else", parser.peek_token_ref())
}

fn is_one_of(parser: &Parser<'_>, nth: usize, keywords: &[Keyword]) -> bool {
    matches!(&parser.peek_nth_token_ref(nth).token, Token::Word(word) if keywords.contains(&word.keyword))
}

fn is_text(parser: &Parser<'_>, nth: usize) -> bool {
    matches!(&parser.peek_nth_token_ref(nth).token, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_))
}

/// Whether a value has to come after this, and no condition.
fn wants_operand(before: &Token) -> bool {
    match before {
        Token::Word(word) => {
            is_predicate(word.keyword)
                || matches!(word.keyword, Keyword::DIV | Keyword::INTERVAL)
                || is_starts_with(word)
        }
        Token::ExclamationMark | Token::Tilde => true,
        token => is_comparison(token) || is_arithmetic(token),
    }
}

fn is_predicate(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::BETWEEN | Keyword::IN | Keyword::LIKE | Keyword::REGEXP | Keyword::RLIKE)
}

fn is_comparison(token: &Token) -> bool {
    matches!(token, Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq | Token::Spaceship)
}

fn is_arithmetic(token: &Token) -> bool {
    matches!(
        token,
        Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::Caret
            | Token::Pipe
            | Token::Ampersand
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::Arrow
            | Token::LongArrow
    )
}

/// Whether an expression is a truth rather than a value. One in parentheses is a value.
fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Not,
        Expr::BinaryOp { op, .. } => matches!(op, BinaryOperator::And | BinaryOperator::Or) || compares(op),
        Expr::Like { .. }
        | Expr::RLike { .. }
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Exists { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_) => true,
        _ => false,
    }
}

/// Whether an operator compares two values.
pub(crate) fn compares(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
            | BinaryOperator::Spaceship
            | BinaryOperator::Custom(_)
    )
}

fn is_starts_with(word: &Word) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(STARTS_WITH)
}
