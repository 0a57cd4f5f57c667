//! Code in the document is the code that is tested here.

const DOCUMENT: &str = include_str!("../../docs/extending.md");
const FILES: [&str; 2] = [include_str!("countdown.rs"), include_str!("main.rs")];

/// The lines between `// [name]` and `// [/name]`, without the indent of the first.
fn section(name: &str) -> String {
    let (open, close) = (format!("// [{name}]"), format!("// [/{name}]"));
    let lines = FILES.iter().flat_map(|file| file.lines());
    let lines = lines.skip_while(|line| line.trim() != open).skip(1).take_while(|line| line.trim() != close);
    let lines: Vec<&str> = lines.filter(|line| !line.trim().starts_with("// [")).collect();
    let indent = lines.first().map_or(0, |line| line.len() - line.trim_start().len());
    let lines = lines.iter().map(|line| line.get(indent..).unwrap_or_default());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn code_in_the_document_is_tested_code() {
    let mut blocks = 0;
    for part in DOCUMENT.split("```rust\n").skip(1) {
        let code = part.split("```").next().unwrap();
        let known = ["state", "messages", "changes", "actor", "timer", "ways", "node", "use"];
        assert!(known.iter().any(|name| section(name) == code), "not in tests/extending:\n{code}");
        blocks += 1;
    }
    assert_eq!(blocks, 7);
}
