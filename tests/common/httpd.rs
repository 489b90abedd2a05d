//! A private Apache httpd in a temporary folder: start, restart, stop, and the verdict on its log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::certificates::pki;
use super::configuration::{Builder, Verdict};
use super::log::{self, ErrorLog, Expectations};
use super::ports::Port;
use super::process::{Daemon, poll};
use super::site;

const APACHE2: &str = "/usr/sbin/apache2";
/// Every MPM logs this at notice, at the end of a start and of each restart.
const STARTED: &str = "resuming normal operations";
/// Under valgrind on a busy machine, a restart takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Stopped and judged when dropped.
pub struct Httpd {
    daemon: Daemon,
    files: Files,
    expectations: Mutex<Expectations>,
}

/// What a server needs on disk, and its ports.
struct Files {
    root: TempDir,
    ports: BTreeMap<String, Port>,
    log: ErrorLog,
    runs_cgid: bool,
}

/// mod_cgid's daemon of one generation, as its socket tells: inode and time of its last change (seconds, nanoseconds).
type ScriptDaemon = (u64, i64, i64);

impl Httpd {
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn start(builder: Builder) -> Result<Self, Verdict> {
        let files = Files::write(&builder);
        let (program, words) = program(&builder);
        let mut daemon = Daemon::spawn(program, |command| {
            command.args(words).args(["-D", "FOREGROUND"]);
            files.prepare(command, &builder.environment);
        })
        .unwrap_or_else(|error| {
            panic!("cannot start {APACHE2} through setpriv: {error} (packages apache2, util-linux)")
        });
        // Under valgrind everything takes fifty times as long.
        let patience = if builder.runner.is_empty() { PATIENCE } else { PATIENCE * 2 };
        let ready = poll(patience, || match daemon.try_wait() {
            Some(status) => Some(Err(status.code())),
            None => files.ready(daemon.pid(), 0, None).then_some(Ok(())),
        });
        match ready {
            Some(Ok(())) => Ok(Self { daemon, files, expectations: Mutex::new(builder.expectations) }),
            Some(Err(code)) => Err(Verdict { code, output: files.everything_said() }),
            None => {
                daemon.kill_group();
                panic!("httpd is not ready after {patience:?}\n{}", files.everything_said());
            }
        }
    }

    pub(super) fn configtest(builder: Builder) -> Verdict {
        let files = Files::write(&builder);
        let (program, words) = program(&builder);
        let mut command = Command::new(program);
        files.prepare(command.args(words).arg("-t"), &builder.environment);
        let status = command.status().unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
        Verdict { code: status.code(), output: files.everything_said() }
    }

    /// The address of the hosts with TLS.
    pub fn tls(&self) -> SocketAddr {
        self.port("tls")
    }

    /// The address of the hosts without TLS.
    pub fn plain(&self) -> SocketAddr {
        self.port("plain")
    }

    /// The address of a port named with `Vhost::on`.
    pub fn port(&self, name: &str) -> SocketAddr {
        let port = self.files.ports.get(name).unwrap_or_else(|| panic!("no host listens on a port `{name}`"));
        (Ipv4Addr::LOCALHOST, port.number()).into()
    }

    /// The process that forks the others.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    pub fn document_root(&self) -> PathBuf {
        self.files.path("htdocs")
    }

    /// A certificate or key file: `pki("client_a.pem")`.
    pub fn pki(&self, name: &str) -> PathBuf {
        self.files.path("pki").join(name)
    }

    pub fn log(&self) -> String {
        self.files.log.contents()
    }

    pub fn log_mark(&self) -> usize {
        self.files.log.mark()
    }

    pub fn log_since(&self, mark: usize) -> String {
        self.files.log.since(mark)
    }

    /// Waits for a line after `mark` that matches `pattern` (substring, `*` for any text) and returns it.
    pub fn wait_for_log(&self, mark: usize, pattern: &str) -> String {
        self.files
            .log
            .wait_for(mark, pattern)
            .unwrap_or_else(|| panic!("no log line matches `{pattern}` in:\n{}", self.log_since(mark)))
    }

    /// One line for each finished request: host, port, protocol, status, Token-Binding-Status, request line.
    pub fn access_log(&self) -> String {
        self.file("access.log")
    }

    /// Any file in the server's folder, such as a log that a directive put into `{root}`; empty where there is none.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.files.path(name)).unwrap_or_default()
    }

    /// Lines of the log at level warn or worse that match `pattern` are fine.
    pub fn allow_log(&self, pattern: &str) {
        self.expectations().allowed.push(pattern.to_owned());
    }

    /// As `allow_log`, and at the end there must have been one.
    pub fn expect_log(&self, pattern: &str) {
        self.expectations().required.push(pattern.to_owned());
    }

    /// `secret` must not be in any line of our module below trace.
    pub fn forbid_in_log(&self, secret: &str) {
        assert!(!secret.is_empty(), "an empty secret is in every line");
        self.expectations().secrets.push(secret.to_owned());
    }

    /// New configuration, new children; the old ones finish their requests.
    pub fn graceful(&mut self) {
        self.restart("USR1");
    }

    /// New configuration, new children, at once.
    pub fn hard_restart(&mut self) {
        self.await_rest();
        self.restart("HUP");
    }

    fn restart(&mut self, signal: &str) {
        let mark = self.log_mark();
        let (pid, files) = (self.daemon.pid(), &self.files);
        let before = files.script_daemon(pid);
        self.daemon.signal(signal);
        let ended = poll(PATIENCE, || match self.daemon.try_wait() {
            Some(status) => Some(Err(status)),
            None => files.ready(pid, mark, before).then_some(Ok(())),
        });
        match ended {
            Some(Ok(())) => {}
            Some(Err(status)) => panic!("httpd ended at SIG{signal}: {status}\n{}", self.log_since(mark)),
            None => panic!("no restart within {PATIENCE:?} of SIG{signal}\n{}", self.log_since(mark)),
        }
    }

    /// Waits a moment for the connections that their clients have left. The event MPM, told to stop at once, looks at the
    /// sockets of its threads without a lock (close_worker_sockets), and crashes where one of them is just ending its connection.
    fn await_rest(&self) {
        let at_rest = || (!self.files.connections_are_held()).then_some(());
        let _ = poll(Duration::from_millis(500), at_rest);
        // The socket is closed a few instructions before the thread forgets it.
        thread::sleep(Duration::from_millis(10));
    }

    /// Stops it; says what was wrong about that.
    fn stop(&mut self) -> Option<String> {
        if let Some(status) = self.daemon.try_wait() {
            self.daemon.kill_group();
            return Some(format!("httpd had ended by itself: {status}"));
        }
        self.await_rest();
        self.daemon.signal("TERM");
        let status = self.daemon.wait(PATIENCE);
        self.daemon.kill_group();
        match status {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("httpd ended with {status}")),
            None => Some(format!("httpd did not stop within {PATIENCE:?} of SIGTERM")),
        }
    }

    fn expectations(&self) -> MutexGuard<'_, Expectations> {
        self.expectations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// httpd, or what it runs under, and the words that follow.
fn program(builder: &Builder) -> (&str, Vec<&str>) {
    let mut words = builder.runner.iter().map(String::as_str).chain([APACHE2]);
    (words.next().unwrap_or(APACHE2), words.collect())
}

impl Drop for Httpd {
    fn drop(&mut self) {
        let mut faults: Vec<String> = self.stop().into_iter().collect();
        let said = self.files.everything_said();
        if thread::panicking() {
            let from = said.lines().count().saturating_sub(80);
            let tail: Vec<&str> = said.lines().skip(from).collect();
            eprintln!("the server's last lines:\n{}", tail.join("\n"));
            return;
        }
        faults.extend(log::judge(&said, &self.expectations()));
        assert!(faults.is_empty(), "the server was not well:\n{}\nits whole log:\n{said}", faults.join("\n"));
    }
}

impl Files {
    fn write(builder: &Builder) -> Self {
        let root = tempfile::Builder::new().prefix("httpd-").tempdir().expect("a temporary folder");
        // The children run as www-data when the tests run as root.
        site::set_mode(root.path(), 0o755);
        for folder in ["htdocs", "run"] {
            site::make_folder(&root.path().join(folder));
        }
        pki().write_to(&root.path().join("pki"));
        builder.write_site(&root.path().join("htdocs"));
        site::write(&root.path().join("mime.types"), b"text/html html\ntext/plain txt\n", 0o644);
        let ports = builder.reserve_ports();
        let configuration = builder.render(root.path(), &ports);
        site::write(&root.path().join("httpd.conf"), configuration.as_bytes(), 0o644);
        let log = ErrorLog::at(&root.path().join("error.log"));
        Self { root, ports, log, runs_cgid: builder.runs_cgid() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The arguments and environment common to a start and a test of the configuration.
    fn prepare(&self, command: &mut Command, environment: &[(String, String)]) {
        let output = File::create(self.path("output")).expect("a file in our folder");
        let copy = output.try_clone().expect("a second handle");
        command
            .args([Path::new("-f"), &self.path("httpd.conf")])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(output)
            .stderr(copy);
    }

    /// Since `mark` in its log the parent started its children, and mod_cgid's daemon is not the one of `before`; the
    /// ports accept since before. No connection is made to find out: the test's own connections are the first ones.
    ///
    /// The daemon matters because it must not be told to end before it can hear it: it would be killed, leave its
    /// socket, and the next one could not bind to that.
    fn ready(&self, pid: u32, mark: usize, before: Option<ScriptDaemon>) -> bool {
        let written = fs::read_to_string(self.path("run/httpd.pid")).unwrap_or_default();
        let daemon = self.script_daemon(pid);
        written.trim() == pid.to_string()
            && self.log.since(mark).contains(STARTED)
            && (!self.runs_cgid || (daemon.is_some() && daemon != before))
    }

    fn script_daemon(&self, pid: u32) -> Option<ScriptDaemon> {
        let socket = fs::metadata(self.path(&format!("run/cgid.sock.{pid}"))).ok()?;
        Some((socket.ino(), socket.ctime(), socket.ctime_nsec()))
    }

    /// A process still holds the server's end of a connection.
    fn connections_are_held(&self) -> bool {
        let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        table.lines().skip(1).any(|line| {
            // proc(5): sl, local_address, rem_address, st, queues, timer, retransmissions, uid, timeout, inode
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, _, _, _, _, _, inode, ..] = words.as_slice() else { return false };
            let port = local.split_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            let ours = self.ports.values().any(|reserved| Some(reserved.number()) == port);
            // LISTEN is 0A; what no process holds any more has no inode.
            ours && *state != "0A" && *inode != "0"
        })
    }

    /// Standard output and error, until the log was open, then the log.
    fn everything_said(&self) -> String {
        let output = fs::read(self.path("output")).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned() + &self.log.contents()
    }
}
