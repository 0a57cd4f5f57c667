//! The types of single values, read as Temporal's YAML reader reads them.

use std::{net::IpAddr, time::Duration};

use perdure_kernel::go_duration;

use crate::{keys::nearest, node::Kind};

/// A value without parts.
pub(crate) trait Scalar: Sized + Default {
    /// What the key takes, as in "takes true or false".
    fn takes() -> String;

    /// Reads the value; the error says what the key takes.
    fn parse(kind: Kind, text: &str) -> Result<Self, String>;
}

/// A word out of few.
pub(crate) trait Choice: Sized + Copy + 'static {
    /// The words and what they mean.
    const WORDS: &'static [(&'static str, Self)];
    /// Whether `INFO` is as good as `info`.
    const ANY_CASE: bool;
}

impl Scalar for bool {
    fn takes() -> String {
        "true or false".to_owned()
    }

    fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        match kind {
            Kind::Bool(value) => Ok(value),
            // What YAML 1.1 had besides, which Temporal's reader still takes.
            Kind::Text => match text {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(true),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Ok(false),
                "true" | "false" => Err("true or false without quotes".to_owned()),
                _ => Err(Self::takes()),
            },
            Kind::Int(_) | Kind::Float(_) => Err(Self::takes()),
        }
    }
}

impl Scalar for String {
    fn takes() -> String {
        "text".to_owned()
    }

    /// Numbers and booleans are text as they stand.
    fn parse(_kind: Kind, text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Scalar for f64 {
    fn takes() -> String {
        "a number".to_owned()
    }

    fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        match kind {
            Kind::Int(value) => Ok(value as f64),
            Kind::Float(value) => Ok(value),
            Kind::Text if text.parse::<f64>().is_ok() => Err("a number without quotes".to_owned()),
            Kind::Text | Kind::Bool(_) => Err(Self::takes()),
        }
    }
}

/// Whole numbers of a type's range.
macro_rules! whole {
    ($($kind:ty: $takes:literal;)*) => {$(
        impl Scalar for $kind {
            fn takes() -> String {
                $takes.to_owned()
            }

            fn parse(kind: Kind, text: &str) -> Result<Self, String> {
                whole(kind, text, $takes)?.try_into().map_err(|_| $takes.to_owned())
            }
        }
    )*};
}

whole! {
    u16: "a port from 0 to 65535";
    u32: "a whole number from 0 to 4294967295";
    i64: "a whole number";
}

fn whole(kind: Kind, text: &str, takes: &str) -> Result<i64, String> {
    let digits = text.trim_start_matches(['-', '+']);
    match kind {
        // Temporal's reader takes 010 for 8.
        Kind::Int(_) | Kind::Float(_)
            if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Err(format!("{takes} that does not begin with 0"))
        }
        Kind::Int(value) => Ok(value),
        Kind::Text if text.parse::<i64>().is_ok() => Err(format!("{takes} without quotes")),
        Kind::Text | Kind::Bool(_) | Kind::Float(_) => Err(takes.to_owned()),
    }
}

impl Scalar for Duration {
    fn takes() -> String {
        "a duration such as 10s, 1m30s or 24h".to_owned()
    }

    /// In Go's notation: there are no days, and no number without a unit.
    fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        match kind {
            Kind::Int(_) => Err(format!("a duration with a unit, such as {text}s")),
            Kind::Text => match go_duration::parse(text).map(u64::try_from) {
                Some(Ok(nanos)) => Ok(Self::from_nanos(nanos)),
                Some(Err(_)) => Err("a duration of 0 or more".to_owned()),
                None if text.ends_with('d') => Err(format!("{}, without days", Self::takes())),
                None => Err(Self::takes()),
            },
            Kind::Bool(_) | Kind::Float(_) => Err(Self::takes()),
        }
    }
}

/// Empty text is no address.
impl Scalar for Option<IpAddr> {
    fn takes() -> String {
        "an IP address such as 127.0.0.1".to_owned()
    }

    fn parse(_kind: Kind, text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(None),
            _ => text.parse().map(Some).map_err(|_| Self::takes()),
        }
    }
}

/// Empty text is no choice.
impl<C: Choice> Scalar for Option<C> {
    fn takes() -> String {
        let words: Vec<&str> = C::WORDS.iter().map(|(word, _)| *word).collect();
        match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => "nothing".to_owned(),
        }
    }

    fn parse(_kind: Kind, text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let fits = |word: &str| word == text || (C::ANY_CASE && word.eq_ignore_ascii_case(text));
        if let Some((_, choice)) = C::WORDS.iter().find(|(word, _)| fits(word)) {
            return Ok(Some(*choice));
        }
        let words: Vec<&str> = C::WORDS.iter().map(|(word, _)| *word).collect();
        Err(match nearest(text, &words) {
            Some(word) => format!("{} (did you mean {word}?)", Self::takes()),
            None => Self::takes(),
        })
    }
}

/// Makes an enumeration of words.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident, any case: $any:literal {
            $($(#[$doc:meta])* $variant:ident = $word:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $crate::static_config::scalar::Choice for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),*];
            const ANY_CASE: bool = $any;
        }
    };
}

pub(crate) use choice;
