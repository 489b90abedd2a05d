//! A child process in its own process group that cannot outlive the test binary.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A daemon that was started in the foreground, with everything it forked.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `program` as leader of a new process group. When the test binary dies, however it dies, the kernel
    /// sends the daemon SIGTERM (`setpriv --pdeathsig`, part of Debian's util-linux).
    pub fn spawn(program: &str, configure: impl FnOnce(&mut Command)) -> io::Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--", program]).process_group(0).stdin(Stdio::null());
        configure(&mut command);
        spawn_from_lasting_thread(command).map(|child| Self { child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, once it has ended.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits up to `limit` for the end of the leader.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        poll(limit, || self.try_wait())
    }

    /// `signal` is a name as kill(1) knows it: `USR1`, `HUP`, `TERM`.
    pub fn signal(&self, signal: &str) {
        assert!(kill(signal, &self.pid().to_string()), "cannot send SIG{signal} to pid {}", self.pid());
    }

    /// SIGKILL for the whole group. False where nothing was left to kill.
    pub fn kill_group(&mut self) -> bool {
        let found = kill("KILL", &format!("-{}", self.pid()));
        let _ = self.child.wait();
        found
    }
}

/// How long to wait for what does not take so many seconds. `TEST_PATIENCE` says how many times longer it may take here
/// (`make valgrind`).
pub fn patience(seconds: u64) -> Duration {
    static FACTOR: LazyLock<u32> = LazyLock::new(|| {
        let text = std::env::var("TEST_PATIENCE").unwrap_or_else(|_| "1".to_owned());
        text.parse().unwrap_or_else(|_| panic!("TEST_PATIENCE={text}: a whole number"))
    });
    Duration::from_secs(seconds) * *FACTOR
}

/// Asks `ready` every few milliseconds until it has an answer; `None` after `limit`.
pub fn poll<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The shell's own `kill`: the program is not on every machine.
fn kill(signal: &str, target: &str) -> bool {
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"$1\"", signal, target])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The kernel sends PDEATHSIG when the *thread* ends that forked, and each test is a thread of its own: a server that
/// outlives the test that started it must come from a thread that lasts.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static JOBS: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = mpsc::channel();
    JOBS.lock().expect("no panic under this lock").send((command, reply)).expect("the thread lasts");
    answer.recv().expect("the thread answers each job")
}
