//! docs/attacks.md and docs/threat-model.md: every attack has its answer, and the tests that are named there exist. And the
//! attacks that no other group is about.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use token_binding::{MessageBuilder, TokenBindingType, base64url};

use super::configuration::{project, read};
use crate::common::{Backend, Bound, Httpd, id, keys};

/// The files below a folder whose names end in `.rs`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("an entry").path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => files.push(path),
                _ => {}
            }
        }
    }
    files
}

/// The tests of a file: functions after `#[test]`.
fn tests_in(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]").skip(1).filter_map(|rest| {
        let (_, rest) = rest.split_once("fn ")?;
        rest.split('(').next()
    })
}

/// All tests of the project as the documents name them: `file::function`, and `crate::file::function` in crates/.
fn all_tests() -> BTreeSet<String> {
    let mut roots = vec![(String::new(), project("tests/httpd"))];
    for entry in std::fs::read_dir(project("crates")).expect("crates/") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        for folder in
            ["src", "tests"].map(|folder| entry.path().join(folder)).into_iter().filter(|path| path.is_dir())
        {
            roots.push((format!("{name}::"), folder));
        }
    }
    let mut names = BTreeSet::new();
    for (prefix, root) in roots {
        for file in sources(&root) {
            let module = file.strip_prefix(&root).expect("below it").with_extension("");
            let module = module.display().to_string().replace('/', "::");
            let module = module.trim_end_matches("::mod");
            let source = std::fs::read_to_string(&file).expect("a source file");
            names.extend(tests_in(&source).map(|name| format!("{prefix}{module}::{name}")));
        }
    }
    names
}

/// What stands in a text between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tests that a text names.
fn tests_named(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |words: &str| {
        words.contains("::")
            && words.bytes().all(|octet| octet.is_ascii_alphanumeric() || b":_-".contains(&octet))
    };
    quoted(text).filter(move |words| is_path(words) || words.starts_with("row: "))
}

/// The rows of the document: what is attacked, and the answer.
fn rows() -> Vec<(String, String)> {
    let document = read("docs/attacks.md");
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let (name, _, answer) = (cells.next()?, cells.next()?, cells.next()?);
        let is_name = name.starts_with(|first: char| "PLNWOA".contains(first))
            && name.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse::<u8>().is_ok();
        is_name.then(|| (name.to_owned(), answer.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let tests = all_tests();
    assert!(tests.len() > 400, "where are they? {tests:?}");
    let acceptance: String = sources(&project("tests/httpd/acceptance"))
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a source file"))
        .collect();
    let mut missing = Vec::new();
    for document in
        ["docs/attacks.md", "docs/threat-model.md", "docs/mod_auth_openidc.md", "docs/security-testing.md"]
    {
        let text = read(document);
        for line in text.lines().filter(|line| !line.contains("function`") && !line.contains("`row: name`")) {
            for name in tests_named(line) {
                let exists = match name.strip_prefix("row: ") {
                    Some(row) => acceptance.contains(&format!("\"{row}\"")),
                    None => tests.contains(name),
                };
                if !exists {
                    missing.push(format!("{document}: {name}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "there are no such tests:\n{}", missing.join("\n"));
}

#[test]
fn every_attack_has_a_test_or_a_reason() {
    let rows = rows();
    for (name, answer) in &rows {
        let reason = answer.strip_prefix("Does not apply").is_some_and(|reason| reason.len() > 30);
        assert!(reason || tests_named(answer).next().is_some(), "{name}: {answer}");
    }
    let names: Vec<String> = rows.into_iter().map(|(name, _)| name).collect();
    let numbered =
        |prefix: &'static str, last: usize| (1..=last).map(move |number| format!("{prefix}{number}"));
    let expected: Vec<String> = [("P-", 38), ("L-", 30), ("N-", 8), ("W", 20), ("O-", 8), ("A-", 10)]
        .into_iter()
        .flat_map(|(prefix, last)| numbered(prefix, last))
        .collect();
    assert_eq!(names, expected);
}

/// The lists that the document was made from are not part of the project.
#[test]
fn the_lists_of_attacks_have_not_grown() {
    let shared = project("../shared");
    if !shared.is_dir() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is missing", shared.display());
        eprintln!("NOT RUN: the lists of {}, which is missing", shared.display());
        return;
    }
    let last = |file: &str, prefix: &str| {
        let text =
            std::fs::read_to_string(shared.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let numbers = text.lines().filter_map(|line| {
            let digits = line.strip_prefix(prefix)?;
            digits.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<u32>().ok()
        });
        numbers.max()
    };
    assert_eq!(last("specs/requirements.md", "- **P-"), Some(38));
    assert_eq!(last("design/lessons.md", "| "), Some(30));
    assert_eq!(last("design/mod_oauth2.md", "**W"), Some(20));
}

/// The table of comparisons in docs/threat-model.md names the files in which OpenSSL compares; what is secret or stands for a
/// key cannot be compared in any other way.
#[test]
fn secrets_are_compared_in_constant_time() {
    let comparing: BTreeSet<String> =
        ["src", "crates/token-binding/src", "crates/sender-constraint/src", "crates/backchannel/src"]
            .iter()
            .flat_map(|folder| sources(&project(folder)))
            .filter(|file| std::fs::read_to_string(file).expect("a source file").contains("memcmp::eq("))
            .map(|file| file.strip_prefix(project("")).expect("below it").display().to_string())
            .collect();
    let document = read("docs/threat-model.md");
    let (_, table) = document.split_once("### Comparisons").expect("the table");
    let table = table.split("\n#").next().expect("its end");
    let explained: BTreeSet<String> =
        quoted(table).filter(|words| words.ends_with(".rs")).map(str::to_owned).collect();
    assert_eq!(comparing, explained);
    for (file, kind) in [
        ("crates/token-binding/src/secret.rs", "pub struct Ekm("),
        ("crates/token-binding/src/token_binding_id.rs", "pub struct TokenBindingHash("),
        ("crates/sender-constraint/src/thumbprint.rs", "pub struct Thumbprint("),
        ("crates/sender-constraint/src/cnf.rs", "enum Expected {"),
    ] {
        let source = read(file);
        let (before, _) = source.split_once(kind).unwrap_or_else(|| panic!("{file}: {kind}"));
        let derived = before.lines().next_back().expect("the line before");
        assert!(!derived.contains("PartialEq"), "{file}: {kind} {derived}");
        let name = kind.trim_matches(|letter| " ({".contains(letter)).rsplit(' ').next().expect("a name");
        assert!(!source.contains(&format!("PartialEq for {name}")), "{file}");
    }
}

#[test]
fn keying_material_and_messages_are_in_no_log() {
    let server = Httpd::builder().log_level("debug token_binding:debug").start();
    let mut client = Bound::open(&server);
    let message = client.message();
    let ekm = client.stream().ekm().expect("a finished handshake");
    for status in [200, 200] {
        assert_eq!(client.replay("/cgi/env.cgi", &message, &[]).status, status);
    }
    assert_eq!(Bound::open(&server).replay("/hello.txt", &message, &[]).status, 400);
    let context = base64url::encode(ekm.as_bytes());
    let hex: String = ekm.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    let id = id(&keys().a);
    let log = server.log();
    for secret in [&message, &context[..40], &hex, &hex.to_uppercase(), &id] {
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains("[token_binding:") && line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret}: {lines:?}");
    }
    // At httpd's default level a good request leaves nothing at all: the harness fails a test for a line at warn.
    assert_eq!(log.matches("request refused").count(), 1, "{log}");
}

/// As large as an administrator may allow: everything is framed, nothing is verified.
#[test]
fn hundreds_of_bindings_are_refused_before_a_signature_is_checked() {
    let server = Httpd::builder().config("LimitRequestFieldSize 131072").start();
    let mut client = Bound::open(&server);
    let ekm = client.stream().ekm().expect("a finished handshake");
    let mut message = MessageBuilder::new();
    tokbind::binding::push(&mut message, TokenBindingType::Provided, &keys().a, &ekm).expect("a signature");
    for _ in 0..470 {
        message.push(9, &keys().b.id(), &[1; 64], &[]).expect("short enough");
    }
    let value = message.to_field_value().expect("short enough");
    assert!(value.len() > 80_000, "{}", value.len());
    let mark = server.log_mark();
    assert_eq!(client.replay("/hello.txt", &value, &[]).status, 400);
    server.wait_for_log(
        mark,
        "request refused: Sec-Token-Binding: message has more than 8 signatures to check",
    );
    // The largest field that is no message at all.
    let mark = server.log_mark();
    assert_eq!(Bound::open(&server).replay("/hello.txt", &"A".repeat(130_000), &[]).status, 400);
    server.wait_for_log(mark, "request refused: Sec-Token-Binding: malformed token binding message");
    assert_eq!(Bound::open(&server).get("/hello.txt", &[]).status, 200);
}

/// CGI writes fields of requests as HTTP_NAME, so none of them takes the name of a variable.
#[test]
fn no_field_of_a_request_becomes_a_variable_of_ours() {
    let server = Httpd::builder().start();
    let mut client = Bound::open(&server);
    let names = [
        "Token-Binding-Hash",
        "Token-Binding-Status",
        "Token-Binding-Key-Parameters",
        "Sec-Provided-Token-Binding-ID",
        "Sec_Other_Token_Binding_ID",
        "TB_SSL_CLIENT_CERT_FINGERPRINT",
        "OIDC_CACHE_PREFIX",
        "REMOTE_USER",
    ];
    let fields: Vec<String> = names.iter().map(|name| format!("{name}: forged")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    for path in ["/cgi/env.cgi", "/cgi/redirect.cgi"] {
        let answer = client.get(path, &fields);
        let forged: Vec<&str> = answer.body.lines().filter(|line| line.ends_with("=forged")).collect();
        // Fields that nobody reserves arrive as what they are, and as nothing else.
        assert!(
            forged
                .iter()
                .all(|line| ["HTTP_", "REDIRECT_HTTP_"].iter().any(|prefix| line.starts_with(prefix))
                    && !line.contains("_ID=")),
            "{path} {forged:?}"
        );
        assert_eq!(answer.variable("Token_Binding_Status"), Some("verified"), "{path} {answer:?}");
        assert_eq!(answer.variable("Sec_Provided_Token_Binding_ID"), Some(id(&keys().a).as_str()), "{path}");
    }
}

/// Caches outside see no Client-Cert (RFC 9440 §2.4).
#[test]
fn vary_by_certificate_means_no_cache() {
    let script =
        |vary: &str| format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\nVary: {vary}\\r\\n\\r\\nx'\n");
    let backend = Backend::answering(|head| match head.starts_with("GET /cert") {
        true => ("200 OK\r\nVary: Accept\r\nVary: Client-Cert-Chain", "text/plain", String::new()),
        false => ("200 OK\r\nVary: Accept", "text/plain", String::new()),
    });
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http"])
        .value("backend", backend.port())
        .file("cert.cgi", &script("Accept, client-cert"))
        .file("other.cgi", &script("Accept"))
        .config("<Location />\nClientCertForward Cert\n</Location>\n<Location /off/>\nClientCertForward Off\n</Location>")
        .tls_config("SSLProxyEngine On\nSSLProxyCACertificateFile {pki}/ca.pem")
        .tls_config("ProxyPass /backend/ https://localhost:{backend}/\nProxyPass /off/ https://localhost:{backend}/")
        .start();
    for (path, vary) in [
        ("/cert.cgi", "*"),
        ("/other.cgi", "Accept"),
        ("/backend/cert", "*"),
        ("/backend/other", "Accept"),
        // Nothing was added to the request, so what the backend says is the client's affair.
        ("/off/cert", "Accept,Client-Cert-Chain"),
    ] {
        let answer = Bound::open(&server).get(path, &[]);
        assert_eq!((answer.status, answer.header("Vary")), (200, Some(vary)), "{path} {answer:?}");
    }
}

/// Nor do they see what this server says of a Token Binding; of unbound requests it says that there is none.
#[test]
fn vary_by_binding_means_no_cache() {
    let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\nVary: '$QUERY_STRING'\\r\\n\\r\\nx'\n";
    let server = Httpd::builder()
        .file("vary.cgi", script)
        .file("none/vary.cgi", script)
        .config("TokenBindingMissing Allow\n<Location /none/>\nTokenBindingPassVar none\n</Location>")
        .tls_config("<Location /provided/>\nTokenBindingPassVar provided\n</Location>")
        .tls_config("Alias /provided/ {docroot}/")
        .start();
    let mut client = Bound::open(&server);
    for (name, at_provided) in [
        ("Sec-Provided-Token-Binding-ID", "*"),
        ("sec-referred-token-binding-id", "sec-referred-token-binding-id"),
        ("Token-Binding-Context", "Token-Binding-Context"),
        ("Accept,Cookie", "Accept,Cookie"),
        ("Accept,Sec-Token-Binding", "*"),
    ] {
        let usual = if name == "Accept,Cookie" { name } else { "*" };
        let at_none = if name.ends_with(",Sec-Token-Binding") { "*" } else { name };
        for (path, vary) in [("/", usual), ("/provided/", at_provided), ("/none/", at_none)] {
            let path = format!("{path}vary.cgi?{name}");
            for answer in [client.get(&path, &[]), client.unbound(&path, &[])] {
                assert_eq!((answer.status, answer.header("Vary")), (200, Some(vary)), "{path} {answer:?}");
            }
        }
    }
}

/// Whoever it is that says so: a script known by its type, mod_rewrite of a file, `<If>`, the page of an error.
#[test]
fn vary_is_seen_wherever_it_comes_from() {
    let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\nVary: Sec-Provided-Token-Binding-ID\\r\\n\\r\\nx'\n";
    let failing = script.replace("Content-Type", "Status: 503\\r\\nContent-Type");
    let old =
        script.replace("Content-Type", "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\\r\\nContent-Type");
    let elsewhere = script.replace("Content-Type", "Location: https://elsewhere.example/\\r\\nContent-Type");
    let server = Httpd::builder()
        .load(&["rewrite"])
        .file("typed.app", script)
        .file("failing.cgi", &failing)
        .file("old.cgi", &old)
        .file("elsewhere.cgi", &elsewhere)
        .file("page.txt", "x")
        .file("rewritten/page.txt", "x")
        .config("TokenBindingMissing Allow\nAddType application/x-httpd-cgi .app")
        .config("<Directory {docroot}/rewritten>\nRewriteEngine On\nRewriteCond %{HTTP:Sec-Provided-Token-Binding-ID} !=x")
        .config("RewriteRule ^old$ page.txt\n</Directory>")
        .config("<Location /page.txt>\n<If \"req('Sec-Provided-Token-Binding-ID') == ''\">\nSetEnv unbound 1\n</If>\n</Location>")
        .start();
    // the page of a redirection is httpd's own
    for (path, status) in [
        ("/typed.app", 200),
        ("/failing.cgi", 503),
        ("/elsewhere.cgi", 302),
        ("/rewritten/old", 200),
        ("/page.txt", 200),
    ] {
        let answer = Bound::open(&server).get(path, &[]);
        assert_eq!((answer.status, answer.header("Vary")), (status, Some("*")), "{path} {answer:?}");
    }
    // what httpd answers in the script's place
    let since = "If-Modified-Since: Tue, 02 Jan 2024 00:00:00 GMT";
    let answer = Bound::open(&server).get("/old.cgi", &[since]);
    assert_eq!((answer.status, answer.header("Vary")), (304, Some("*")), "{answer:?}");
    let answer = Bound::open(&server).get("/rewritten/page.txt", &[]);
    assert_eq!((answer.status, answer.header("Vary")), (200, None), "nobody says anything: {answer:?}");
}

/// httpd's own cache looks before the IDs are there.
#[test]
fn nor_does_httpds_own_cache_mix_bindings_up() {
    let backend = Backend::answering(|head| {
        let ids = head.lines().find_map(|line| line.strip_prefix("Sec-Provided-Token-Binding-ID: "));
        let status = match head.starts_with("GET /same ") {
            true => "200 OK\r\nCache-Control: public, max-age=60",
            false => "200 OK\r\nCache-Control: public, max-age=60\r\nVary: Sec-Provided-Token-Binding-ID",
        };
        (status, "text/plain", ids.unwrap_or("nobody").to_owned())
    });
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http", "cache", "cache_socache"])
        .config("CacheEnable socache /\nCacheSocache shmcb\nTokenBindingMissing Allow")
        .tls_config("SSLProxyEngine On\nSSLProxyCACertificateFile {pki}/ca.pem")
        .tls_config(&format!("ProxyPass / https://localhost:{}/", backend.port()))
        .start();
    for _ in 0..2 {
        assert_eq!(Bound::open(&server).unbound("/varies", &[]).body, "nobody");
        for key in [&keys().a, &keys().b] {
            assert_eq!(Bound::open(&server).with_key(key).get("/varies", &[]).body, id(key));
        }
    }
    // The cache is at work where a backend does not say so.
    assert_eq!(Bound::open(&server).unbound("/same", &[]).body, "nobody");
    assert_eq!(Bound::open(&server).get("/same", &[]).body, "nobody");
}
