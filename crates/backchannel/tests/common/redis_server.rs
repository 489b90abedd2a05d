//! A real redis-server for one test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::certificates::Folder;

/// Runs until it is killed or dropped.
pub struct RedisServer {
    pub port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// With further `arguments`, as on its command line.
    pub fn start(arguments: &[&str]) -> Self {
        Self::on_a_free_port("--port", arguments)
    }

    /// The same, speaking TLS only, with the `server` certificate of the folder.
    pub fn start_tls(certificates: &Folder) -> Self {
        let file = |name: &str| certificates.file(name).display().to_string();
        let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        let arguments = [
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", "no"],
            ["--port", "0"],
        ];
        Self::on_a_free_port("--tls-port", arguments.as_flattened())
    }

    fn on_a_free_port(option: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another program may take the port in between: then the next one.
        for _ in 0..20 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut all: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
            all.extend([option.to_owned(), port.to_string()]);
            let mut server = Self {
                port,
                arguments: all,
                folder: tempfile::tempdir_in(folder.path()).unwrap(),
                process: None,
            };
            if server.run() {
                server.folder = folder;
                return server;
            }
        }
        panic!("redis-server does not start with {arguments:?}");
    }

    /// Starts it, again; false where it ended at once.
    pub fn run(&mut self) -> bool {
        // The kernel ends it with the test's thread, however that ends.
        let process = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "redis-server",
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .spawn();
        let process = self.process.insert(process.expect("setpriv is in util-linux"));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = process.try_wait().unwrap() {
                assert_ne!(
                    status.code(),
                    Some(127),
                    "these tests need redis-server: apt-get install redis-server"
                );
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                // Where somebody else listens there, ours ends at once.
                thread::sleep(Duration::from_millis(50));
                return process.try_wait().unwrap().is_none();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not listen");
    }

    /// After `kill`. Another test may have got the port, for a moment.
    pub fn run_again(&mut self) {
        let runs = |server: &mut Self| {
            thread::sleep(Duration::from_millis(20));
            server.run()
        };
        assert!((0..100).any(|_| runs(self)), "redis-server does not start again on port {}", self.port);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Sends an inline command on a connection of its own and gives what comes until redis closes it.
    pub fn tell(&self, command: &str) -> String {
        let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        tcp.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
