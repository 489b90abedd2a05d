//! What was seen, and whether it may be so.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use crate::common::exchange::Answer;
use crate::visit::Ask;

/// So many faults tell enough.
const ENOUGH: usize = 20;

/// Of all clients together.
#[derive(Default)]
pub struct Record {
    over: AtomicBool,
    /// Odd: a hard restart goes on.
    epoch: AtomicU64,
    /// Shared by those who wait for an answer.
    exchanges: RwLock<()>,
    restarts: AtomicU64,
    requests: AtomicU64,
    hostile: AtomicU64,
    /// Kept connections that httpd had closed before a request came.
    reopened: AtomicU64,
    /// By hard restarts.
    cut_off: AtomicU64,
    faults: Mutex<Vec<String>>,
}

/// The time at which something was begun.
#[derive(Clone, Copy)]
pub struct Begin(u64);

impl Record {
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub fn is_good(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    /// The second of each three.
    pub fn next_restart_is_hard(&self) -> bool {
        self.restarts.fetch_add(1, Ordering::SeqCst) % 3 == 1
    }

    /// While this is done, and a moment longer, connections may be cut off.
    pub fn rough(&self, work: impl FnOnce()) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        work();
        thread::sleep(Duration::from_secs(1));
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// While this is done, nobody waits for an answer.
    pub fn at_rest(&self, work: impl FnOnce()) {
        let _nobody = self.exchanges.write().unwrap();
        work();
    }

    /// To be kept by who waits for an answer.
    pub fn exchange(&self) -> RwLockReadGuard<'_, ()> {
        self.exchanges.read().unwrap()
    }

    pub fn begin(&self) -> Begin {
        Begin(self.epoch.load(Ordering::SeqCst))
    }

    /// No answer came to something that was begun then.
    pub fn lost(&self, begin: Begin, what: impl fmt::Display) {
        let now = self.epoch.load(Ordering::SeqCst);
        if begin.0 % 2 == 1 || begin.0 != now {
            self.cut_off.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(50));
        } else {
            self.fault(format!("lost: {what}"));
        }
    }

    /// A connection that had served was closed before an octet of an answer came: any client sends its request again.
    pub fn reopened(&self) {
        self.reopened.fetch_add(1, Ordering::SeqCst);
    }

    pub fn judge(&self, ask: &Ask, answer: &Answer) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if ask.hostile {
            self.hostile.fetch_add(1, Ordering::SeqCst);
        }
        if let Err(why) = ask.expected.compare(answer) {
            self.fault(format!("wrong: {why}\n  asked: {ask:?}\n  answer: {answer:?}"));
        }
    }

    fn fault(&self, fault: String) {
        eprintln!("soak: {fault}");
        let mut faults = self.faults.lock().unwrap();
        faults.push(fault);
        if faults.len() >= ENOUGH {
            self.end();
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [requests, hostile, restarts, reopened, cut_off] =
            [&self.requests, &self.hostile, &self.restarts, &self.reopened, &self.cut_off]
                .map(|counter| counter.load(Ordering::SeqCst));
        let faults = self.faults.lock().unwrap().len();
        write!(
            f,
            "{requests} answers, {hostile} of them to hostile requests; {faults} wrong or lost; {restarts} restarts, {} of them \
             hard; {reopened} kept connections were opened again, {cut_off} requests were cut off by hard restarts",
            (restarts + 1) / 3
        )
    }
}
