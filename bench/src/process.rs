//! CPU time and memory of a process, from `/proc`.

use std::{fs, io, time::Duration};

/// Linux reports process times to user space in hundredths of a second on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads, exited ones included. Resolution: 10 ms.
    pub cpu: Duration,
    /// Resident memory in KiB.
    pub resident_kib: u64,
}

/// Usage of process `pid`.
///
/// # Errors
/// When there is no such process, or no `/proc` of Linux.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse(&stat, &status).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not understood")))
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The command name may hold spaces and brackets: fields are counted from its last bracket.
    let after_name = &stat[stat.rfind(')')? + 1..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident_kib = resident.trim().trim_end_matches("kB").trim().parse().ok()?;
    let cpu = Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND);
    Some(Usage { cpu, resident_kib })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a ) (b)) S 1 42 42 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 1 0 1 1 1";
        let usage = parse(stat, "Name:\tx\nVmRSS:\t   2048 kB\n").unwrap();
        assert_eq!(usage, Usage { cpu: Duration::from_secs(2), resident_kib: 2048 });
    }

    #[test]
    fn this_process_has_memory() {
        assert!(usage(std::process::id()).unwrap().resident_kib > 0);
    }
}
