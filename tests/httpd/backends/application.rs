//! One backend's process.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::ports::Port;
use crate::common::process::{Daemon, poll};
use crate::common::site;

/// A running backend on 127.0.0.1. When it is dropped it is stopped, and it must have said nothing unexpected.
pub struct Application {
    daemon: Daemon,
    port: Port,
    folder: TempDir,
}

impl Application {
    /// docs/backends/python. `-B`: nothing is left behind among the documents.
    pub fn python() -> Self {
        Self::python_on(Port::reserve())
    }

    /// The same on a port that was kept for it.
    pub fn python_on(port: Port) -> Self {
        Self::start_on(port, "/usr/bin/python3", |command, port, _| {
            command.arg("-B").arg(documents("python/app.py")).arg(port);
        })
    }

    /// docs/backends/node with more arguments.
    pub fn node(arguments: &[&str]) -> Self {
        Self::start("node", |command, port, _| {
            command.arg(documents("node/app.mjs")).args(["--port", port]).args(arguments);
        })
    }

    /// Another program in Python; its argument is the port.
    pub fn python_program(program: &str) -> Self {
        Self::start("/usr/bin/python3", |command, port, _| {
            command.args(["-c", program, port]);
        })
    }

    /// Another program in Node; its argument is the port.
    pub fn node_program(program: &str) -> Self {
        Self::start("node", |command, port, _| {
            command.args(["-e", program, port]);
        })
    }

    /// PHP as a FastCGI server, which runs the scripts that it is asked for.
    pub fn php() -> Self {
        Self::start("/usr/bin/php-cgi", |command, port, folder| {
            let sessions = format!("session.save_path={}", folder.display());
            command.args(["-b", &format!("127.0.0.1:{port}"), "-d", &sessions]);
            command.args(["-d", "display_errors=0", "-d", "log_errors=1"]);
        })
    }

    fn start(program: &str, arguments: impl FnOnce(&mut Command, &str, &Path)) -> Self {
        Self::start_on(Port::reserve(), program, arguments)
    }

    fn start_on(port: Port, program: &str, arguments: impl FnOnce(&mut Command, &str, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let said = File::create(folder.path().join("said")).expect("a file");
        let mut daemon = Daemon::spawn(program, |command| {
            arguments(command, &port.number().to_string(), folder.path());
            command.stdout(said.try_clone().expect("a file")).stderr(said);
        })
        .expect("setpriv starts (package util-linux)");
        let address = (Ipv4Addr::LOCALHOST, port.number());
        let ready = poll(Duration::from_secs(20), || match daemon.try_wait() {
            Some(status) => Some(Err(status)),
            None => TcpStream::connect(address).ok().map(Ok),
        });
        let application = Self { daemon, port, folder };
        assert!(matches!(ready, Some(Ok(_))), "{program} does not serve: {ready:?}\n{}", application.said());
        application
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.daemon.kill_group();
        let said = self.said();
        if thread::panicking() {
            eprintln!("the backend said:\n{said}");
            return;
        }
        // Python's server has an access log.
        let faults: Vec<&str> = said.lines().filter(|line| !line.starts_with("127.0.0.1 - - [")).collect();
        assert!(faults.is_empty(), "the backend was not well:\n{said}");
    }
}

/// A file below docs/backends.
pub fn documents(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/backends").join(name)
}

/// PHP as a CGI program: a wrapper script, as an administrator would write it, and the folder for its sessions.
pub fn php_cgi() -> (String, TempDir) {
    let sessions = tempfile::tempdir().expect("a folder");
    // httpd's user writes there.
    site::set_mode(sessions.path(), 0o777);
    let script = format!(
        "#!/bin/sh\nexec /usr/bin/php-cgi -d session.save_path={} -d display_errors=0 -d log_errors=1\n",
        sessions.path().display()
    );
    (script, sessions)
}
