//! Words of texts.
//!
//! A word is a run of letters and digits, in lower case and without diacritics (of Latin letters), as the
//! full-text index of Temporal's SQLite store takes them.

/// The words of a text, in order.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        if is_combining(letter) {
            continue;
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase().filter(|letter| !is_combining(*letter)).map(plain));
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Phrases of a text to look for: what blanks separate.
pub(crate) fn phrases(text: &str) -> Vec<Vec<String>> {
    text.split(' ').filter(|phrase| !phrase.is_empty()).map(words).collect()
}

fn is_combining(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

/// Lower-case Latin letters with diacritics, and the letters without them in the same place.
const MARKED: &str = "àáâãäåçèéêëìíîïñòóôõöùúûüýÿāăąćĉċčďēĕėęěĝğġģĥĩīĭįĵķĺļľńņňōŏőŕŗřśŝşšţťũūŭůűųŵŷźżž";
const PLAIN: &str = "aaaaaaceeeeiiiinooooouuuuyyaaaccccdeeeeegggghiiiijklllnnnooorrrssssttuuuuuuwyzzz";

fn plain(letter: char) -> char {
    if letter.is_ascii() {
        return letter;
    }
    MARKED.chars().zip(PLAIN.chars()).find(|(marked, _)| *marked == letter).map_or(letter, |(_, plain)| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_one_length() {
        assert_eq!(MARKED.chars().count(), PLAIN.chars().count());
        assert!(MARKED.chars().all(|letter| !letter.is_ascii()) && PLAIN.is_ascii());
        for (marked, plain) in
            [('é', 'e'), ('ñ', 'n'), ('ÿ', 'y'), ('ğ', 'g'), ('ķ', 'k'), ('ş', 's'), ('ų', 'u'), ('ž', 'z')]
        {
            assert_eq!(super::plain(marked), plain);
        }
    }

    #[test]
    fn splits_folds_and_keeps_the_order() {
        for (text, expected) in [
            ("The quick Brown fox-trot café", &["the", "quick", "brown", "fox", "trot", "cafe"][..]),
            ("run_fast 5x", &["run", "fast", "5x"]),
            ("cafe\u{301} ÉCOLE", &["cafe", "ecole"]),
            ("日本 語", &["日本", "語"]),
            (" - ", &[]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        assert_eq!(phrases(" a-b  c"), [vec!["a".to_owned(), "b".into()], vec!["c".into()]]);
        assert_eq!(phrases("-"), [Vec::<String>::new()]);
    }
}
