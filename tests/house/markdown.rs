//! Tables in documents, as data.

/// The rows of the table below a heading, without its two header lines; cells trimmed, without backticks.
pub(crate) fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section =
        document.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading '## {heading}'")).1;
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows: Vec<_> = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect())
        .collect();
    assert!(!rows.is_empty(), "no table under '## {heading}'");
    rows
}

/// The words of a cell: `a, b` is two, `-` is none.
pub(crate) fn words(cell: &str) -> Vec<String> {
    cell.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "-").map(str::to_owned).collect()
}

#[test]
fn reads_tables() {
    let document = "# t\n\n## one\n\ntext\n\n| a | b |\n|---|---|\n| `x` | y, `z` |\n\n## two\n| a |\n|---|\n| no |\n";
    assert_eq!(table(document, "one"), [["x", "y, z"]]);
    assert_eq!(words("y, z"), ["y", "z"]);
    assert!(words("-").is_empty());
}
