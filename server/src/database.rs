//! What can be said about a database file before a driver opens it.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    path::Path,
};

use crate::StartError;

/// The first bytes of every SQLite file that is not empty.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Makes sure that `path` is, or can become, a SQLite file that this process may write. A missing file is
/// made, empty; SQLite takes it for a new database.
pub fn check_database(path: &Path) -> Result<(), StartError> {
    let refuse = |problem: String| StartError::Database { path: path.to_owned(), problem };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(refuse(format!("there is no directory {}", directory.display())));
    }
    if path.is_dir() {
        return Err(refuse("it is a directory; name a file".to_owned()));
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(|error| {
        refuse(match error.kind() {
            io::ErrorKind::PermissionDenied => "no permission to write it".to_owned(),
            io::ErrorKind::ReadOnlyFilesystem => "its file system is read-only".to_owned(),
            _ => format!("it cannot be opened for writing: {error}"),
        })
    })?;
    let mut start = Vec::with_capacity(SQLITE_MAGIC.len());
    file.by_ref()
        .take(SQLITE_MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(|error| refuse(format!("it cannot be read: {error}")))?;
    if !start.is_empty() && start != SQLITE_MAGIC {
        return Err(StartError::Schema {
            path: path.to_owned(),
            problem: "it is not a SQLite database; name another file".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    #[test]
    fn a_missing_file_is_made_and_taken_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new.db");
        check_database(&path).unwrap();
        check_database(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        fs::write(&path, b"SQLite format 3\0and more").unwrap();
        check_database(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"SQLite format 3\0and more");
    }

    #[test]
    fn what_cannot_be_a_database_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("notes.txt");
        fs::write(&text, "SQLite format 3, they say").unwrap();
        for (path, code, expected) in [
            (directory.path().join("no/such/a.db"), 4, "there is no directory"),
            (directory.path().to_owned(), 4, "it is a directory"),
            (text, 5, "it is not a SQLite database"),
        ] {
            let error = check_database(&path).unwrap_err();
            assert_eq!(error.exit_code(), code);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
