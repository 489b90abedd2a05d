//! What the kernel says about a server's processes.

use std::fs;
use std::time::Duration;

use crate::client::Pipeline;
use crate::common::Httpd;

/// The one that forks, and its children.
fn processes(server: &Httpd) -> Vec<u32> {
    let pid = server.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().map(|id| id.parse().expect("a number"));
    std::iter::once(pid).chain(children).collect()
}

/// The time that all threads of the server have spent on processors (proc_pid_schedstat(5): nanoseconds).
pub fn cpu(server: &Httpd) -> Duration {
    let tasks = processes(server)
        .into_iter()
        .flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten());
    tasks.flatten().map(|task| on_processor(&task.path().join("schedstat").display().to_string())).sum()
}

/// The same of the calling thread.
pub fn own_cpu() -> Duration {
    on_processor("/proc/thread-self/schedstat")
}

fn on_processor(file: &str) -> Duration {
    let text = fs::read_to_string(file).unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// Its memory in octets, where what several processes share counts once.
pub fn memory(server: &Httpd) -> f64 {
    let pss = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or_default()
    };
    processes(server).into_iter().map(pss).sum::<f64>() * 1024.0
}

/// Microseconds on a processor for each of these requests, which are sent at once.
pub fn each(server: &Httpd, connection: &mut Pipeline, tokens: &[&str]) -> f64 {
    let before = cpu(server);
    connection.get(&tokens.iter().copied().map(Some).collect::<Vec<_>>());
    #[allow(clippy::cast_precision_loss)] // small
    let requests = tokens.len() as f64;
    (cpu(server) - before).as_secs_f64() * 1e6 / requests
}

/// A quarter of these has less: what the rest of the machine took from a turn is in few of those, and what is measured in all.
pub fn quarter(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 4]
}
