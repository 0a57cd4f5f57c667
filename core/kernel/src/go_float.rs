//! Floating-point numbers in Go's notation, as texts of errors show them.

/// A number as Go writes it by default: with an exponent from a million on.
pub fn show(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_shows_them() {
        for (value, shown) in [
            (5.0, "5"),
            (0.0, "0"),
            (1.5, "1.5"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_000_000.5, "1.0000005e+06"),
            (1e19, "1e+19"),
            (1e-4, "0.0001"),
            (1e-7, "1e-07"),
            (-2.5e30, "-2.5e+30"),
        ] {
            assert_eq!(show(value), shown);
        }
    }
}
