//! Every command in README.md and docs/ is run: on a private machine of files, against a private server. What builds, or needs a
//! machine of its own, is the affair of make targets; then it is checked that there are such.
//!
//! Commands are what stands in blocks marked `sh`, line by line, and in backticks where it begins with a program that the
//! documents use. Other blocks say what they are: `text`, `apache`, `json` and so on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::backends::application::Application;
use super::configuration::{project, read};
use super::oauth2_docs::{SECRET, bound_to, token};
use crate::common::configuration::module_file;
use crate::common::log::matches;
use crate::common::{Httpd, Vhost, pki};

/// What a command comes to: exit code, and a line of what it says (`*` for any text).
struct Outcome {
    command: &'static str,
    code: i32,
    says: &'static str,
}

const fn outcome(command: &'static str, code: i32, says: &'static str) -> Outcome {
    Outcome { command, code, says }
}

/// The commands that are run here. A document that shows another one needs a line here, or in `ELSEWHERE`.
const OUTCOMES: &[Outcome] = &[
    outcome("sudo make install", 0, "*a2enmod token_binding*"),
    outcome("sudo a2enmod token_binding", 0, "*token_binding*"),
    outcome("a2enmod socache_shmcb", 0, "*socache_shmcb*"),
    outcome("sudo apachectl configtest", 0, "Syntax OK"),
    outcome("apachectl configtest", 0, "Syntax OK"),
    outcome("apxs -q LIBEXECDIR", 0, "/usr/lib/apache2/modules"),
    outcome("openssl rand -base64 24", 0, "????????????????????????????????"),
    outcome("openssl rand -out ticket.key 48", 0, ""),
    outcome("openssl rand -base64 -out oauth2-passphrase 24", 0, ""),
    outcome("tokbind get -v --resume https://app.example.org/", 0, "* Token Binding: version 1.0, ecdsap256"),
    outcome("tokbind get -v", 2, "*Usage: tokbind get*"),
    outcome("tokbind get -v https://app.example.org/", 0, "* Token Binding: version 1.0, ecdsap256"),
    outcome(
        "tokbind get -v --cacert ca.pem https://localhost:4433/",
        0,
        "* Token Binding: version 1.0, ecdsap256",
    ),
    outcome("tokbind get --print-message https://app.example.org/", 0, "*Sec-Token-Binding: *"),
    outcome("tokbind get --print-message URL", 0, "*Sec-Token-Binding: *"),
    outcome(
        "tokbind get --replay \"$SEC_TOKEN_BINDING\" https://app.example.org/",
        1,
        "tokbind: the server refused: 400 Bad Request",
    ),
    outcome("tokbind get --replay MESSAGE URL", 1, "tokbind: the server refused: 400 Bad Request"),
    outcome("tokbind get URL", 0, "<h1>it serves</h1>"),
    outcome("tokbind get --key client.pem --bearer \"$TOKEN\" URL", 0, "<h1>it serves</h1>"),
    outcome("tokbind keygen --out alice.pem", 0, "*AgBBQ*"),
    outcome(
        "tokbind get -i --key alice.pem -d user=alice https://shop.example.org/login | grep -o '__Host-session=[^;]*' >cookie",
        0,
        "",
    ),
    outcome(
        "tokbind get --key alice.pem -H \"Cookie: $(cat cookie)\" https://shop.example.org/",
        0,
        "{\"user\": \"alice\", \"bound_to\": {\"token-binding\": \"AgBBQ*",
    ),
    outcome(
        "tokbind get -H \"Cookie: $(cat cookie)\" https://shop.example.org/",
        1,
        "tokbind: the server refused: 401 Unauthorized",
    ),
    outcome(
        "tokbind get --no-token-binding -H \"Cookie: $(cat cookie)\" https://shop.example.org/",
        1,
        "tokbind: the server refused: 401 Unauthorized",
    ),
    outcome("tokbind bench URL", 0, "*requests*"),
    outcome("tokbind bench --cacert ca.pem -c 20 --duration 30 https://localhost:4433/", 0, "*requests*"),
    outcome("tokbind COMMAND --help", 0, "Usage: tokbind get *"),
    outcome("tokbind keygen", 0, "-----BEGIN PRIVATE KEY-----"),
    outcome("tokbind keygen --out key.pem", 0, "*AgBBQ*"),
    outcome("tokbind id KEYFILE", 0, "*AgBBQ*"),
    outcome("tokbind id client.pem", 0, "*AgBBQ*"),
    outcome("tokbind id --json key.pem", 0, "*\"key_parameters\": \"ecdsap256\"*"),
    outcome("tokbind decode HEADER", 0, "*provided*"),
    outcome("tokbind decode --json \"$SEC_TOKEN_BINDING\"", 0, "*\"type_name\": \"provided\"*"),
    outcome("tokbind verify --ekm \"$EKM\" --key-parameters ecdsap256 \"$SEC_TOKEN_BINDING\"", 0, "*valid*"),
    outcome("tokbind verify --ekm B64URL --key-parameters NAME HEADER", 0, "*valid*"),
    outcome("tokbind thumbprint CERT.pem", 0, "{x5t}"),
    outcome("tokbind thumbprint client.pem", 0, "{x5t}"),
    outcome("tokbind thumbprint FILE", 0, "{x5t}"),
    outcome("curl -i https://api.example.org/", 0, "WWW-Authenticate: Bearer realm=\"\""),
    outcome("curl -i -H \"Authorization: Bearer $TOKEN\" https://api.example.org/", 0, "HTTP/1.1 200 OK"),
    outcome(
        "curl -i -H \"Authorization: Bearer $BOUND\" https://api.example.org/",
        0,
        "HTTP/1.1 401 Unauthorized",
    ),
    outcome(
        "curl -i -H \"Authorization: Bearer $BOUND\" --cert c.pem --key c.key https://api.example.org/",
        0,
        "HTTP/1.1 200 OK",
    ),
];

/// Commands, by how they begin, that a file of the project runs, or that nobody can run here; and what that file holds.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    // There is no init here; what a reload does is in lifecycle.rs.
    ("sudo systemctl reload apache2", "tests/httpd/lifecycle.rs", "twenty_graceful_restarts_lose_no_request"),
    // What it undoes.
    ("sudo systemctl enable --now apache2", "scripts/setup", "systemctl disable --quiet"),
    // With the ports of the tests.
    ("python3 docs/backends/python/app.py", "tests/httpd/backends/application.rs", "python/app.py"),
    ("node docs/backends/node/app.mjs", "tests/httpd/backends/application.rs", "node/app.mjs"),
    // Without a daemon; it takes the commands from that document.
    ("docker compose -f docker/compose.yaml", "scripts/docker-check", "docs/docker.md"),
    (
        "sudo apt-get install ./libapache2-mod-token-binding",
        "scripts/lib/deb-check-inside",
        "apt install /root/module.deb",
    ),
    ("cargo deny", "Makefile", "check --hide-inclusion-graph"),
];

/// Programs that make a command of what stands in backticks, with an argument.
const PROGRAMS: [&str; 16] = [
    "sudo",
    "tokbind",
    "curl",
    "openssl",
    "apachectl",
    "a2enmod",
    "a2dismod",
    "apxs",
    "cargo",
    "make",
    "systemctl",
    "apt-get",
    "redis-cli",
    "docker",
    "python3",
    "node",
];

/// Files of markdown in a folder and those below.
pub fn documents() -> Vec<String> {
    let mut documents = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(project(&folder)).expect("a folder") {
            let name = format!("{folder}/{}", entry.expect("an entry").file_name().to_str().expect("a name"));
            match project(&name).is_dir() {
                true => folders.push(name),
                false if name.ends_with(".md") => documents.push(name),
                false => {}
            }
        }
    }
    documents.sort();
    documents
}

/// The commands of a document, each with its line.
fn commands(document: &str) -> Vec<(usize, String)> {
    let text = read(document);
    let mut commands = Vec::new();
    let mut block: Option<&str> = None;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{document}:{}", number + 1);
        match (block, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => {
                assert!(!kind.is_empty(), "{place}: what is in this block: sh, text, apache, json, ...?");
                block = Some(kind);
            }
            (Some(_), Some(_)) => block = None,
            (Some("sh"), None) => commands.extend(parts(line).map(|part| (number + 1, part))),
            (Some(_), None) => {}
            (None, None) => {
                let shown = line.split('`').skip(1).step_by(2).filter(|words| is_command(words));
                commands.extend(shown.flat_map(parts).map(|part| (number + 1, part)));
            }
        }
    }
    commands
}

fn is_command(words: &str) -> bool {
    words.split_once(' ').is_some_and(|(program, _)| PROGRAMS.contains(&program))
}

/// The commands of a line, without comments.
fn parts(line: &str) -> impl Iterator<Item = String> {
    let line = line.trim();
    let line = line.split(" # ").next().unwrap_or_default();
    let line = if line.starts_with('#') { "" } else { line };
    line.split(" && ").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty())
}

/// The names that stand for something, in synopses and examples.
fn filled_in(command: &str, server: &Httpd) -> String {
    let port = |name: &str| server.port(name).port();
    let command = command
        .replace("https://app.example.org/", &format!("https://localhost:{}/", port("tls")))
        .replace("https://localhost:4433/", &format!("https://localhost:{}/", port("tls")))
        .replace("https://shop.example.org/", &format!("https://localhost:{}/", port("shop")))
        .replace("https://api.example.org/", &format!("https://localhost:{}/", port("api")));
    // For a moment instead of half a minute.
    let command =
        command.replace("--duration 30", "").replace("tokbind bench ", "tokbind bench --requests 20 ");
    let word = |word: &str| match word {
        "URL" => format!("https://localhost:{}/", port("tls")),
        "HEADER" | "MESSAGE" => "\"$SEC_TOKEN_BINDING\"".to_owned(),
        "B64URL" => "\"$EKM\"".to_owned(),
        "NAME" => "ecdsap256".to_owned(),
        "KEYFILE" | "FILE" | "CERT.pem" => "client.pem".to_owned(),
        "COMMAND" => "get".to_owned(),
        other => other.to_owned(),
    };
    command.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Folders that stand for a machine's, and the files that the documents speak of.
struct Machine {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["bin", "build/release", "root/etc"] {
            fs::create_dir_all(path(name)).expect("a folder");
        }
        copy("/etc/apache2", &path("root/etc/apache2"));
        // In place of `make release`, which takes minutes.
        fs::copy(module_file(), path("build/release/mod_token_binding.so")).expect("the module");
        fs::copy(tokbind(), path("build/release/tokbind")).expect("tokbind");
        fs::copy(tokbind(), path("bin/tokbind")).expect("tokbind");
        program(&path("bin/sudo"), "#!/bin/sh\nexec \"$@\"\n");
        let pki = pki();
        let private =
            |key: &openssl::pkey::PKey<openssl::pkey::Private>| key.private_key_to_pem_pkcs8().expect("PEM");
        let certificate = pki.client_a.certificate_pem();
        for (name, contents) in [
            ("ca.pem", pki.ca.certificate_pem()),
            ("c.pem", certificate.clone()),
            ("c.key", private(&pki.client_a.key)),
            ("client.pem", [certificate, private(&pki.client_a.key)].concat()),
        ] {
            fs::write(path(name), contents).expect("a file in our folder");
        }
        let own: Value =
            serde_json::from_str(&read("crates/token-binding/tests/vectors/own.json")).expect("JSON");
        let sample = |member: &str| own["messages"][0][member].as_str().expect("a text").to_owned();
        let variables = vec![
            ("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", path("bin").display())),
            ("DESTDIR", path("root").display().to_string()),
            ("CARGO_TARGET_DIR", path("build").display().to_string()),
            ("APACHE_CONFDIR", path("root/etc/apache2").display().to_string()),
            ("CURL_CA_BUNDLE", path("ca.pem").display().to_string()),
            ("SSL_CERT_FILE", path("ca.pem").display().to_string()),
            ("TOKEN", token(json!({}))),
            ("BOUND", token(bound_to(&pki.client_a))),
            ("SEC_TOKEN_BINDING", sample("sec_token_binding")),
            ("EKM", sample("ekm_b64u")),
        ];
        Self { folder, variables }
    }

    /// Exit code, and all that was said.
    fn run(&self, command: &str) -> (i32, String) {
        let here = self.folder.path();
        let command = match command.contains("make ") {
            true => format!("cd '{}' && {command}", env!("CARGO_MANIFEST_DIR")),
            false => command.to_owned(),
        };
        let output = Command::new("bash")
            .args(["-c", &command])
            .current_dir(here)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("bash runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).replace('\r', ""))
    }

    /// The module is not where Debian has its modules, but below our root.
    fn installed(&self) {
        let file = self.folder.path().join("root/etc/apache2/mods-available/token_binding.load");
        if let Ok(text) = fs::read_to_string(&file) {
            let library = self.folder.path().join("root/usr/lib/apache2/modules/mod_token_binding.so");
            let library = library.display().to_string();
            if !text.contains(&library) {
                fs::write(&file, text.replace("/usr/lib/apache2/modules/mod_token_binding.so", &library))
                    .expect("our file");
            }
        }
    }
}

fn copy(from: &str, to: &Path) {
    let status = Command::new("cp").args(["-a", from]).arg(to).status().expect("cp runs");
    assert!(status.success(), "cp -a {from}");
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).expect("a file in our folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}

/// The command, which `cargo test --workspace` builds beside the module.
fn tokbind() -> std::path::PathBuf {
    let binary = std::env::current_exe().expect("a test binary has a path");
    let file = binary.ancestors().nth(2).expect("target/debug").join("tokbind");
    assert!(file.is_file(), "{} is missing: cargo build -p tokbind", file.display());
    file
}

/// With the application that the documents put behind it.
fn server(application: &Application) -> Httpd {
    let api = format!(
        "<Location />\nAuthType oauth2\nOAuth2TokenVerify plain {SECRET} type=mtls&mtls.policy=optional\nRequire valid-user\n</Location>\n\
         SSLVerifyClient optional_no_ca\nTokenBindingMissing Allow"
    );
    let shop = format!("ProxyPass / http://127.0.0.1:{}/ disablereuse=On", application.port());
    Httpd::builder()
        .load(&["authz_user", "proxy", "proxy_http"])
        .vhost(Vhost::tls("localhost").on("api").config(&api))
        .vhost(Vhost::tls("localhost").on("shop").config(&shop))
        .start()
}

/// None where somebody else is to run it, which is then checked.
fn elsewhere(command: &str) -> Option<()> {
    let words: Vec<&str> = command.trim_start_matches("sudo ").split(' ').collect();
    let exists = |condition: bool| condition.then_some(());
    match words.as_slice() {
        ["make", "install"] => None,
        ["make", targets @ ..] => {
            let makefile = read("Makefile");
            let is_target = |word: &&str| {
                word.contains('=') || makefile.lines().any(|line| line.starts_with(&format!("{word}:")))
            };
            exists(!targets.is_empty() && targets.iter().all(is_target))
        }
        ["cargo", "build" | "test" | "bench", rest @ ..] => {
            let named = |option: &str, folder: &str| {
                rest.windows(2).filter(|pair| pair[0] == option).all(|pair| {
                    ["crate", "NAME"].contains(&pair[1]) || project(folder).join(pair[1]).exists()
                })
            };
            exists(named("-p", "crates") && named("--test", "tests") && named("--bench", "benches"))
        }
        [script, ..] if script.starts_with("scripts/") => exists(project(script).is_file()),
        _ => {
            let (_, file, text) = ELSEWHERE.iter().find(|(beginning, ..)| command.starts_with(beginning))?;
            exists(read(file).contains(text))
        }
    }
}

#[test]
fn every_command_that_the_documents_show_does_what_they_say() {
    let application = Application::python();
    let (server, machine) = (server(&application), Machine::new());
    let x5t = bound_to(&pki().client_a)["cnf"]["x5t#S256"].as_str().expect("a text").to_owned();
    let (mut faults, mut run) = (Vec::new(), 0);
    for document in documents() {
        // Each document is read from its beginning.
        let _ = fs::remove_file(machine.folder.path().join("key.pem"));
        for (line, command) in commands(&document) {
            if elsewhere(&command).is_some() {
                continue;
            }
            let Some(expected) = OUTCOMES.iter().find(|outcome| outcome.command == command) else {
                faults.push(format!("{document}:{line}: `{command}` is run by no test"));
                continue;
            };
            machine.installed();
            let (code, said) = machine.run(&filled_in(&command, &server));
            run += 1;
            let says = expected.says.replace("{x5t}", &x5t);
            let says_it = says.is_empty()
                || said.lines().any(|line| match says.starts_with('?') {
                    true => line.len() == says.len(),
                    false => matches(line, &says),
                });
            if code != expected.code || !says_it {
                faults.push(format!("{document}:{line}: `{command}` ended with {code} and said:\n{said}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(run >= 25, "where are they? {run}");
}

/// What is not shown any more needs no line above.
#[test]
fn every_line_above_is_for_a_command_that_is_shown() {
    let shown: Vec<String> =
        documents().iter().flat_map(|document| commands(document)).map(|(_, command)| command).collect();
    for Outcome { command, .. } in OUTCOMES {
        assert!(shown.iter().any(|shown| shown == command), "{command}");
    }
    for (beginning, ..) in ELSEWHERE {
        assert!(shown.iter().any(|shown| shown.starts_with(beginning)), "{beginning}");
    }
}
