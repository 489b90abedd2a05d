//! docs/guide.md, "Several nodes" and "Load balancers": two nodes as it shows them, behind HAProxy as it shows it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use openssl::ssl::SslVersion;
use tokbind::tls::{ConnectorBuilder, Offer};

use super::configuration::read;
use super::oauth2_server::stores::Store;
use crate::common::authorization_server::{AuthorizationServer, Format, Grant, SECRET};
use crate::common::ports::Port;
use crate::common::process::{Daemon, poll};
use crate::common::{Bound, Httpd, bound, connector, pki, site};

const HOST: &str = "app.example.org";
/// Where the balancer's own connections come from.
const BALANCER: &str = "127.0.0.9";
/// 48 octets, as `openssl rand` makes them.
const TICKET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// The block of this kind that the guide says is tested here.
fn example(kind: &str) -> String {
    let guide = read("docs/guide.md");
    let beginning = format!("<!-- tested in several_nodes.rs -->\n```{kind}\n");
    let (_, rest) = guide.split_once(&beginning).unwrap_or_else(|| panic!("{kind}"));
    rest.split("\n```").next().expect("its end").to_owned()
}

/// A node: the guide's configuration with our names, ports and files in it.
fn node(issuer: &AuthorizationServer, redis: &Store) -> Httpd {
    let credentials = format!(
        "client_id=resource-server&client_secret={SECRET}&introspect.ca_file={}",
        issuer.ca_file().display()
    );
    let text = example("apache")
        .replace("*:443", "127.0.0.1:{port:tls}")
        .replace("/etc/ssl/certs/app.example.org.pem", "{pki}/server.pem")
        .replace("/etc/ssl/private/app.example.org.key", "{pki}/server.key")
        .replace("/etc/apache2/", "{docroot}/")
        .replace("${APACHE_LOG_DIR}", "{root}")
        .replace("redis.example.org&port=6379", &format!("localhost&port={}", redis.port()))
        .replace("https://as.example.org/introspect", &issuer.introspection_uri())
        .replace("client_id=api&client_secret=change-this-too", &credentials);
    Httpd::builder()
        .load(&["authz_user", "remoteip"])
        .file("ticket.key", TICKET_KEY)
        .file("oauth2-passphrase", "correct horse battery staple\n")
        .file("api/hello.txt", "hello\n")
        .config(&text)
        .allow_log("AH01909*does NOT include an ID which matches the server name")
        .start()
}

/// HAProxy before these nodes; its address.
struct Balancer {
    daemon: Daemon,
    _folder: tempfile::TempDir,
    port: Port,
}

impl Balancer {
    fn start(nodes: [SocketAddr; 2]) -> Self {
        let (port, folder) = (Port::reserve(), tempfile::tempdir().expect("a folder"));
        let text = example("haproxy")
            .replace("bind :443", &format!("bind 127.0.0.1:{}", port.number()))
            .replace("192.0.2.11:443", &nodes[0].to_string())
            .replace("192.0.2.12:443", &nodes[1].to_string())
            // Its connections come from elsewhere than the client's, so that logs can tell.
            .replace("send-proxy", &format!("send-proxy source {BALANCER}"));
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text + "\n").expect("a file in our folder");
        let daemon = Daemon::spawn("haproxy", |command| {
            command.args(["-db", "-f"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        });
        let balancer = Self { daemon: daemon.expect("setpriv runs"), _folder: folder, port };
        let listens = || TcpStream::connect(balancer.address()).ok();
        poll(Duration::from_secs(10), listens).expect("haproxy listens (package haproxy)");
        balancer
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.daemon.kill_group();
    }
}

/// Two nodes, and what they share.
struct Site {
    issuer: AuthorizationServer,
    nodes: [Httpd; 2],
    balancer: Balancer,
    _redis: Store,
}

impl Site {
    fn start() -> Self {
        let (issuer, redis) = (AuthorizationServer::start(), Store::redis(&["--requirepass", "change-this"]));
        let pki = issuer.ca_file().parent().and_then(|pki| pki.parent()).expect("a folder").to_owned();
        site::set_mode(&pki, 0o755);
        let nodes = [(); 2].map(|()| node(&issuer, &redis));
        let balancer = Balancer::start([nodes[0].tls(), nodes[1].tls()]);
        Self { issuer, nodes, balancer, _redis: redis }
    }

    fn connect(&self, connector: ConnectorBuilder) -> Bound {
        let connector = connector.insecure().build().expect("a connector");
        Bound::connect(&connector, self.balancer.address(), HOST)
    }

    /// How many requests each node has logged, once that are so many.
    fn logged(&self, requests: usize) -> [usize; 2] {
        let count = || self.nodes.each_ref().map(|node| node.file("node.log").lines().count());
        let all = poll(Duration::from_secs(10), || (count().iter().sum::<usize>() == requests).then(count));
        all.unwrap_or_else(|| panic!("{:?}", count()))
    }
}

#[test]
fn any_node_takes_any_connection_and_knows_the_client() {
    let site = Site::start();
    let mut messages = Vec::new();
    for _ in 0..4 {
        let mut client = site.connect(connector());
        messages.push(client.message());
        assert_eq!(client.get("/hello.txt", &[]).status, 200);
    }
    assert_eq!(site.logged(4), [2, 2]);
    for node in &site.nodes {
        for line in node.file("node.log").lines() {
            assert!(line.starts_with("127.0.0.1 ") && line.ends_with(" 200 verified"), "{line}");
        }
    }
    // Neither node takes a message of the other's connections, or of its own others.
    for _ in 0..2 {
        assert_eq!(site.connect(connector()).replay("/hello.txt", &messages[0], &[]).status, 400);
    }
    assert_eq!(site.logged(6), [3, 3]);
}

#[test]
fn sessions_are_resumed_at_the_other_node_and_bound_anew() {
    let site = Site::start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let connector = connector().insecure().tls_version(version).session_tickets(true).resumption(true);
        let connector = connector.build().expect("a connector");
        let connect = || Bound::connect(&connector, site.balancer.address(), HOST);
        let mut first = connect();
        let message = first.message();
        assert!(!first.stream().resumed() && first.replay("/hello.txt", &message, &[]).status == 200);
        drop(first);
        let mut second = connect();
        assert!(second.stream().resumed(), "{version:?}");
        assert_eq!(second.get("/hello.txt", &[]).status, 200);
        assert_eq!(second.replay("/hello.txt", &message, &[]).status, 400);
    }
    // Of each pair of connections, one request at one node and two at the other.
    let mut requests = site.logged(6);
    requests.sort_unstable();
    assert_eq!(requests, [2, 4]);
}

#[test]
fn what_one_node_was_told_the_other_knows() {
    let site = Site::start();
    let grant = Grant { certificate: Some(&pki().client_a), format: Format::Opaque, ..Grant::default() };
    let field = format!("Authorization: Bearer {}", site.issuer.token(&grant));
    let status = |identity| {
        let connector = connector().offer(Offer::None).identity(bound::identity(identity));
        site.connect(connector).unbound("/api/hello.txt", &[&field]).status
    };
    let before = site.issuer.counts().introspection;
    for _ in 0..4 {
        assert_eq!(status(&pki().client_a), 200);
        assert_eq!(status(&pki().client_a), 200);
        assert_eq!(status(&pki().client_b), 401);
    }
    assert_eq!(site.issuer.counts().introspection, before + 1);
}
