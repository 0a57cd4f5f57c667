//! `perdure config check`: tells everything that is wrong with configuration files, before a server meets
//! them.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use clap::{Args, Subcommand, ValueEnum};
use perdure_config::{Checked, FileKind, Position, Severity, check, check_merged};

use crate::StartError;

/// The largest file that is read, in bytes.
const FILE_SIZE_MAX: u64 = 16 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  A server's configuration and the dynamic configuration that goes with it:
      perdure config check production.yaml dynamicconfig.yaml
  Files that Temporal would merge:
      perdure config check --merge base.yaml production.yaml
  What a template renders to:
      render production.yaml | perdure config check -

A line for each problem: FILE:LINE:COLUMN: error (or warning, or note): what is wrong and what to write instead.

Exit codes:
  0  no errors
  2  errors, or a file that cannot be read";

/// Commands about configuration files.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Tell what is wrong with configuration files, without starting anything.
    ///
    /// Takes Temporal's static configuration (log, persistence, services...) and files of dynamic
    /// configuration; their top-level keys tell which is which.
    #[command(args_override_self = true, after_help = EXAMPLES)]
    Check(CheckOptions),
}

/// What to check.
#[derive(Args, Debug, PartialEq)]
pub struct CheckOptions {
    /// Files to check; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// What the files are, whatever they look like.
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// Check static files as the one configuration that Temporal merges them to, later files over earlier
    /// ones.
    #[arg(long)]
    pub merge: bool,
}

/// Kinds of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Kind {
    /// What a server is started with.
    Static,
    /// Limits and switches that may change while it runs.
    Dynamic,
}

/// Checks the files and prints what is found to stdout.
///
/// # Errors
///
/// There are errors in the files; all of them have been printed.
pub fn run(options: &CheckOptions) -> Result<(), StartError> {
    if options.merge && options.kind == Some(Kind::Dynamic) {
        return Err(StartError::Usage("--merge takes static files; check dynamic ones without it".to_owned()));
    }
    let (text, errors) = report(options);
    // A reader that has gone (`perdure config check x.yaml | head -1`) is no failure.
    let _ = io::stdout().write_all(text.as_bytes());
    match errors {
        0 => Ok(()),
        _ => Err(StartError::Usage(format!("the configuration has {}", count(errors, "error")))),
    }
}

/// What is printed, and the number of errors in it.
fn report(options: &CheckOptions) -> (String, usize) {
    let (mut text, mut errors) = (String::new(), 0);
    let mut files: Vec<(&str, String)> = Vec::new();
    for name in &options.files {
        match read(name) {
            Ok(content) => files.push((name, content)),
            Err(problem) => {
                errors += 1;
                line(&mut text, format_args!("{name}: error: cannot be read: {problem}"));
            }
        }
    }
    if options.merge {
        // Without one of its files a merged configuration says nothing.
        if errors == 0 {
            let (names, texts): (Vec<&str>, Vec<&str>) =
                files.iter().map(|(name, text)| (*name, text.as_str())).unzip();
            errors += tell(&mut text, &names, &names.join("+"), &check_merged(&texts));
        }
        return (text, errors);
    }
    let kind = options.kind.map(|kind| match kind {
        Kind::Static => FileKind::Static,
        Kind::Dynamic => FileKind::Dynamic,
    });
    for (name, content) in &files {
        errors += tell(&mut text, &[name], name, &check(content, kind));
    }
    (text, errors)
}

/// Writes the problems of a configuration and its verdict; returns how many errors there are.
fn tell(text: &mut String, names: &[&str], all: &str, checked: &Checked) -> usize {
    for problem in &checked.problems {
        let Position { file, line: row, column } = problem.at;
        let name = names.get(file).unwrap_or(&all);
        line(text, format_args!("{name}:{row}:{column}: {}: {}", problem.severity(), problem.cause));
    }
    let of = |severity| checked.problems.iter().filter(|problem| problem.severity() == severity).count();
    let errors = of(Severity::Error);
    let counts: Vec<String> = [(errors, "error"), (of(Severity::Warning), "warning"), (of(Severity::Note), "note")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| count(number, word))
        .collect();
    let kind = match checked.kind {
        Some(FileKind::Static) => "static configuration",
        Some(FileKind::Dynamic) => "dynamic configuration",
        None => "not a configuration",
    };
    match (errors, counts.join(", ")) {
        (0, counts) if counts.is_empty() => line(text, format_args!("{all}: {kind}, ok")),
        (0, counts) => line(text, format_args!("{all}: {kind}, ok ({counts})")),
        (_, counts) => line(text, format_args!("{all}: {kind}, {counts}")),
    }
    errors
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{words}");
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

fn read(name: &str) -> io::Result<String> {
    if name == "-" { bounded(io::stdin().lock()) } else { bounded(File::open(Path::new(name))?) }
}

fn bounded(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let length = source.take(FILE_SIZE_MAX + 1).read_to_string(&mut text)?;
    if length as u64 > FILE_SIZE_MAX {
        return Err(io::Error::other(format!("it is larger than {FILE_SIZE_MAX} bytes")));
    }
    Ok(text)
}
