//! httpd under callgrind: how many instructions one child spends on a piece of work.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::common::process::poll;
use crate::common::{Builder, Httpd, site};
use crate::profile::{Count, Profile};

/// Callgrind writes down what it has counted, and begins anew, whenever httpd comes to this function, which answers
/// `OPTIONS` and does nothing else.
const MARK: &str = "--dump-before=ap_send_http_options";

/// Something whose cost is counted.
pub trait Work {
    /// Does it so many times.
    fn work(&mut self, times: usize);
    /// Sends an `OPTIONS` request to the same child.
    fn mark(&mut self);
}

/// How often: before anything is counted, and in the two windows whose difference counts.
#[derive(Clone, Copy)]
pub struct Runs {
    pub warm: usize,
    pub short: usize,
    pub long: usize,
}

/// A server whose only child runs under callgrind.
pub struct Metered {
    pub httpd: Httpd,
    child: u32,
    folder: TempDir,
    marks: Cell<u32>,
}

impl Metered {
    pub fn start(builder: Builder) -> Self {
        let folder = tempfile::Builder::new().prefix("callgrind-").tempdir().expect("a temporary folder");
        // The child writes there as www-data.
        site::set_mode(folder.path(), 0o777);
        let output = format!("--callgrind-out-file={}/part.%p", folder.path().display());
        let log = format!("--log-file={}/log", folder.path().display());
        let valgrind = ["valgrind", "-q", "--tool=callgrind", MARK, &output, &log];
        // What was freed is kept for the next to ask. Otherwise a request costs up to fifty instructions more or less in malloc, as
        // the heap happens to look: as much as what is measured differs by.
        let tunables = "glibc.malloc.tcache_count=1000:glibc.malloc.tcache_max=65536";
        let httpd = builder.environment("GLIBC_TUNABLES", tunables).under(&valgrind).start();
        let child = only_child(httpd.pid());
        Self { httpd, child, folder, marks: Cell::new(0) }
    }

    /// Instructions for one piece of work: the difference of two windows, so that what each window costs by itself is
    /// not in it. `keep` gets callgrind's file of the long window, which comes back as well.
    pub fn count(&self, runs: Runs, keep: Option<&Path>, work: &mut dyn Work) -> (Count, Profile) {
        work.work(runs.warm);
        self.mark(work);
        work.work(runs.short);
        let (short, _) = self.mark(work);
        work.work(runs.long);
        let (long, file) = self.mark(work);
        if let Some(keep) = keep {
            fs::copy(&file, keep).unwrap_or_else(|error| panic!("{}: {error}", keep.display()));
        }
        #[allow(clippy::cast_precision_loss)] // small
        let pieces = (runs.long - runs.short) as f64;
        (long.count.each(&short.count, pieces), long)
    }

    /// What was counted since the last mark, with the file that says so.
    fn mark(&self, work: &mut dyn Work) -> (Profile, PathBuf) {
        work.mark();
        self.marks.set(self.marks.get() + 1);
        let file = self.folder.path().join(format!("part.{}.{}", self.child, self.marks.get()));
        let profile =
            Profile::read(&file).unwrap_or_else(|| panic!("callgrind did not write {}", file.display()));
        (profile, file)
    }
}

/// The child that answers requests. With an MPM of threads mod_cgid has a child too, which has no threads.
pub fn only_child(pid: u32) -> u32 {
    let serving = || {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children: Vec<u32> = text.split_whitespace().map(|id| id.parse().expect("a number")).collect();
        let threads = |child: &u32| fs::read_dir(format!("/proc/{child}/task")).map_or(0, Iterator::count);
        match children.as_slice() {
            [only] => Some(*only),
            several => several.iter().copied().find(|child| threads(child) > 1),
        }
    };
    poll(Duration::from_secs(20), serving).expect("httpd has a child")
}
