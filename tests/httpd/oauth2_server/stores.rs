//! A redis-server and a memcached of the test's own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::common::ports::Port;
use crate::common::process::{Daemon, poll};

/// A store that servers share. Killed when dropped.
pub struct Store {
    program: &'static str,
    arguments: Vec<String>,
    port: Port,
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Store {
    /// redis-server with further arguments, as on its command line.
    pub fn redis(arguments: &[&str]) -> Self {
        Self::start("redis-server", |port| {
            let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
            // With TLS, the plain port is switched off.
            let option = if arguments.contains(&"--tls-cert-file") {
                ["--port", "0", "--tls-port"]
            } else {
                ["", "", "--port"]
            };
            let words = fixed.iter().chain(arguments).chain(option.iter().filter(|word| !word.is_empty()));
            words.map(|word| (*word).to_owned()).chain([port]).collect()
        })
    }

    pub fn memcached() -> Self {
        Self::start("memcached", |port| {
            // As another user it would not end with us: whoever changes user loses `pdeathsig`.
            let words = ["-l", "127.0.0.1", "-U", "0", "-u", "root", "-p"];
            words.iter().map(|word| (*word).to_owned()).chain([port]).collect()
        })
    }

    fn start(program: &'static str, arguments: impl Fn(String) -> Vec<String>) -> Self {
        let (port, folder) = (Port::reserve(), tempfile::tempdir().expect("a folder"));
        let arguments = arguments(port.number().to_string());
        let daemon = spawn(program, &arguments, folder.path());
        let mut store = Self { program, arguments, port, daemon, folder };
        store.wait();
        store
    }

    /// Starts it after [`kill`](Self::kill), on the same port and empty.
    pub fn start_again(&mut self) {
        self.daemon = spawn(self.program, &self.arguments, self.folder.path());
        self.wait();
    }

    fn wait(&mut self) {
        let (program, port) = (self.program, self.port.number());
        let listens = || {
            if let Some(status) = self.daemon.try_wait() {
                panic!("{program} ended: {status} (apt-get install redis-server memcached)");
            }
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        };
        poll(Duration::from_secs(20), listens).expect("it listens");
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// SIGKILL: nobody listens on its port any more.
    pub fn kill(&mut self) {
        self.daemon.kill_group();
    }

    /// It accepts connections and answers nobody.
    pub fn hang(&self) {
        self.daemon.signal("STOP");
    }

    /// Sends commands, one per line, and gives what comes until the store closes the connection or says END.
    pub fn tell(&self, commands: &str) -> Vec<u8> {
        let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).expect("it listens");
        tcp.write_all(format!("{commands}\r\nquit\r\n").as_bytes()).expect("it reads");
        let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
        // After a list of its keys, memcached keeps the connection.
        while !answer.ends_with(b"END\r\n") {
            match tcp.read(&mut chunk).expect("it answers") {
                0 => break,
                length => answer.extend_from_slice(&chunk[..length]),
            }
        }
        answer
    }

    /// All keys of a redis-server; `login` is a command that comes before.
    pub fn redis_keys(&self, login: &str) -> Vec<String> {
        let answer = String::from_utf8_lossy(&self.tell(&format!("{login}\r\nKEYS *"))).into_owned();
        answer.lines().filter(|line| line.starts_with("mod_token_binding:")).map(str::to_owned).collect()
    }

    /// All keys of a memcached.
    pub fn memcached_keys(&self) -> Vec<String> {
        // Keys that nobody touched yet may take a moment to be listed.
        let dump = || {
            let answer = String::from_utf8_lossy(&self.tell("lru_crawler metadump all")).into_owned();
            let keys = answer.lines().filter_map(|line| line.strip_prefix("key=")?.split(' ').next());
            // URL-encoded there.
            let keys: Vec<String> = keys.map(|key| key.replace("%3A", ":")).collect();
            (!keys.is_empty()).then_some(keys)
        };
        poll(Duration::from_secs(10), dump).unwrap_or_default()
    }
}

fn spawn(program: &str, arguments: &[String], folder: &Path) -> Daemon {
    let daemon = Daemon::spawn(program, |command| {
        command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    });
    daemon.expect("setpriv runs")
}

impl Drop for Store {
    fn drop(&mut self) {
        self.daemon.kill_group();
    }
}
