//! What the processes of a server hold.

use std::fmt;
use std::fs;

/// Resident memory in KiB.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    parent: u64,
    children: u64,
    largest: u64,
    sum: u64,
}

impl Memory {
    /// Of the server whose parent process this is.
    pub fn of(parent: u32) -> Self {
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        let children: Vec<u64> = children.split_whitespace().map(resident).collect();
        Self {
            parent: resident(&parent.to_string()),
            children: children.len() as u64,
            largest: children.iter().copied().max().unwrap_or(0),
            sum: children.iter().sum(),
        }
    }
}

/// 0 where the process is gone.
fn resident(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parent, children, largest, sum } = self;
        write!(f, "parent {parent} KiB, {children} children {sum} KiB, the largest {largest} KiB")
    }
}
