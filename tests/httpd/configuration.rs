//! The configuration as an administrator meets it: what a mistake is answered with, the reference, and the examples.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::configuration::module_file;
use crate::common::exchange::get_plain;
use crate::common::log::matches;
use crate::common::{Backend, Bound, Builder, Httpd, connector, id, keys};

/// A configuration that is refused, and the line that says why.
struct Mistake {
    lines: &'static str,
    answer: &'static str,
}

const fn mistake(lines: &'static str, answer: &'static str) -> Mistake {
    Mistake { lines, answer }
}

const VARIABLE_NAME: &str = "a variable's name is made of letters, digits, '-', '_' and '.'";
pub const TWO_VARIABLES: &str = "TokenBindingProvidedEnvVar, TokenBindingReferredEnvVar and TokenBindingContextEnvVar need \
                             different names, which this module does not use otherwise";

/// At least one for each directive, but for those of OAuth 2.0: theirs are in oauth2/configuration.rs. `*` stands for any
/// text.
const MISTAKES: &[Mistake] = &[
    mistake("TokenBindingEnabled Maybe", "TokenBindingEnabled must be On or Off"),
    mistake(
        "TokenBindingKeyParameters ecdsap384",
        "TokenBindingKeyParameters: unknown key parameters \"ecdsap384\": accepted are ecdsap256, rsa2048_pss and \
         rsa2048_pkcs1.5",
    ),
    mistake(
        "TokenBindingKeyParameters",
        "TokenBindingKeyParameters: at least one of ecdsap256, rsa2048_pss and rsa2048_pkcs1.5 is needed",
    ),
    mistake(
        "TokenBindingKeyParameters ecdsap256 rsa2048_pss ecdsap256",
        "TokenBindingKeyParameters: ecdsap256 is named twice",
    ),
    mistake("TokenBindingMissing Ignore", "TokenBindingMissing: 'Ignore' is none of Reject, Allow"),
    mistake("TokenBindingMissing Reject Allow", "TokenBindingMissing takes one argument, Reject or Allow: *"),
    mistake("TokenBindingProvidedEnvVar \"ID=\"", VARIABLE_NAME),
    mistake("TokenBindingReferredEnvVar \"an ID\"", VARIABLE_NAME),
    mistake("TokenBindingContextEnvVar Kontext\u{e4}", VARIABLE_NAME),
    mistake("TokenBindingReferredEnvVar sec-provided-token-binding-id", TWO_VARIABLES),
    mistake("TokenBindingContextEnvVar Token-Binding-Status", TWO_VARIABLES),
    mistake(
        "TokenBindingPassVar provided all",
        "TokenBindingPassVar: 'all' is none of provided, referred, other, context, none",
    ),
    mistake("TokenBindingPassVar context none", "TokenBindingPassVar: 'none' stands alone"),
    mistake(
        "TokenBindingPassVar other\nTokenBindingPassVar none",
        "TokenBindingPassVar: 'none' stands alone",
    ),
    mistake(
        "TokenBindingPassVar",
        "TokenBindingPassVar: at least one of provided, referred, other, context, or none",
    ),
    mistake("TokenBindingIncludeReferred Yes", "TokenBindingIncludeReferred must be On or Off"),
    mistake("TokenBindingOIDCSession 1", "TokenBindingOIDCSession must be On or Off"),
    mistake("ClientCertForward On", "ClientCertForward: 'On' is none of Off, Cert, Chain"),
];

#[test]
fn every_directive_says_what_is_wrong_and_what_is_accepted() {
    for Mistake { lines, answer } in MISTAKES {
        let verdict = Httpd::builder().tls_config(lines).configtest();
        assert_eq!(verdict.code, Some(1), "{lines}: {verdict:?}");
        assert!(verdict.output.lines().any(|line| matches(line, answer)), "{lines}: {verdict:?}");
    }
    for directive in directives().keys().filter(|name| !name.starts_with("OAuth2")) {
        let has_one = MISTAKES.iter().any(|mistake| mistake.lines.starts_with(directive.as_str()));
        assert!(has_one, "no mistake with {directive} is tested");
    }
}

#[test]
fn words_are_accepted_in_any_case() {
    let lines = "TokenBindingEnabled oN\nTokenBindingMissing aLLOW\nTokenBindingPassVar Provided CONTEXT\n\
                 ClientCertForward cert";
    let verdict = Httpd::builder().tls_config(lines).configtest();
    assert_eq!(verdict.code, Some(0), "{verdict:?}");
}

#[test]
fn without_mod_ssl_nothing_is_promised() {
    // The harness always loads mod_ssl, so this one is written by hand.
    let demanded = by_hand("-t", "TokenBindingEnabled On");
    assert!(demanded.contains("TokenBindingEnabled On needs mod_ssl: LoadModule ssl_module"), "{demanded}");
    // On by default is no demand: a server without TLS may load the module.
    assert!(by_hand("-t", "").contains("Syntax OK"));
}

#[test]
fn directives_stand_where_they_have_an_effect() {
    for (directive, place) in directives() {
        let accepted = match directive.as_str() {
            "TokenBindingKeyParameters" => "ecdsap256",
            "TokenBindingMissing" => "Allow",
            "TokenBindingPassVar" => "none",
            "ClientCertForward" => "Cert",
            "OAuth2TokenVerify" => "plain a-secret-of-thirty-two-characters!",
            "OAuth2AcceptTokenIn" => "header",
            "OAuth2TargetPass" => "prefix=X",
            "OAuth2Cache" => "shm",
            "OAuth2CryptoPassphrase" => "a-long-passphrase-for-tests-only",
            name if name.ends_with("EnvVar") => "NAME",
            _ => "On",
        };
        let section = format!("<Location />\n{directive} {accepted}\n</Location>");
        let verdict = Httpd::builder().tls_config(&section).configtest();
        match place {
            Place::Server => {
                let answer = format!("{directive} not allowed in <Location> context");
                assert!(verdict.code == Some(1) && verdict.output.contains(&answer), "{verdict:?}");
            }
            Place::Directory => assert_eq!(verdict.code, Some(0), "{verdict:?}"),
        }
    }
}

#[test]
fn htaccess_decides_nothing() {
    let mut builder = Httpd::builder().config("<Directory \"{docroot}\">\nAllowOverride All\n</Directory>");
    for directive in directives().keys() {
        builder = builder
            .file(&format!("{directive}/.htaccess"), &format!("{directive} On\n"))
            .file(&format!("{directive}/page.txt"), "inside\n")
            .expect_log(&format!(".htaccess: {directive} not allowed here"));
    }
    let server = builder.start();
    for directive in directives().keys() {
        let answer = get_plain(server.plain(), "localhost", &format!("/{directive}/page.txt"), &[]);
        assert_eq!(answer.status, 500, "{directive}");
    }
}

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The server's configuration and virtual hosts.
    Server,
    /// Also directories and locations.
    Directory,
}

/// The command table, as httpd itself tells it.
pub fn directives() -> BTreeMap<String, Place> {
    let listed = by_hand("-L", "");
    let lines: Vec<&str> = listed.lines().collect();
    let of_ours = lines.windows(3).filter_map(|lines| {
        let name = lines[0].strip_suffix(" (mod_token_binding.c)")?;
        let place = match lines[2].trim() {
            "Allowed in *.conf only outside <Directory>, <Files>, <Location>, or <If>" => Place::Server,
            "Allowed in *.conf anywhere" => Place::Directory,
            other => panic!("{name}: {other}"),
        };
        Some((name.to_owned(), place))
    });
    let directives: BTreeMap<_, _> = of_ours.collect();
    assert!(directives.len() >= 10, "{listed}");
    directives
}

/// What `apache2 OPTION` says to a configuration with our module and nothing else but `lines`.
fn by_hand(option: &str, lines: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("httpd.conf");
    let text = format!(
        "ServerRoot {0}\nDefaultRuntimeDir {0}\nServerName localhost\nErrorLog /dev/stderr\n\
         LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
         LoadModule token_binding_module {1}\n{lines}\n",
        folder.path().display(),
        module_file().display()
    );
    std::fs::write(&file, text).expect("a file in our folder");
    let output = Command::new("/usr/sbin/apache2")
        .args([option, "-f"])
        .arg(&file)
        .output()
        .expect("apache2 is installed");
    [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).expect("text")).concat()
}

pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The directives in a file of conf/ that are commented out.
fn commented_out(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| uncomment(line) != *line).map(uncomment)
}

#[test]
fn table_reference_and_readme_name_the_same_directives() {
    let table = directives();
    let names: BTreeSet<&str> = table.keys().map(String::as_str).collect();

    // httpd's own directives stand there too, where they belong together.
    let reference = read("conf/token_binding.conf") + &read("conf/oauth2.conf");
    let in_reference: BTreeSet<&str> = commented_out(&reference)
        .filter_map(|line| line.split(' ').next())
        .filter(|name| name.starts_with("TokenBinding") || name.starts_with("OAuth2") || names.contains(name))
        .collect();
    assert_eq!(in_reference, names, "conf/token_binding.conf and conf/oauth2.conf");

    // | `Name arguments` | S or D | ...
    let readme = read("README.md");
    let rows = readme.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.split([' ', '`']).next()?;
        let place = match cells.next()? {
            "S" => Place::Server,
            "D" => Place::Directory,
            _ => return None,
        };
        Some((name.to_owned(), place))
    });
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), table, "README.md");
}

#[test]
fn the_reference_can_be_uncommented() {
    let reference = read("conf/token_binding.conf");
    let all: Vec<&str> = commented_out(&reference).collect();
    let verdict = Httpd::builder().tls_config(&all.join("\n")).configtest();
    assert_eq!(verdict.code, Some(0), "{verdict:?}");
    assert_eq!(Httpd::builder().tls_config(&reference).configtest().code, Some(0));
}

/// An example of conf/ on our ports and with our certificates.
fn example(name: &str) -> String {
    let mut adapted = String::new();
    for line in read(name).lines() {
        let indented = line.trim_start();
        let line = match indented.split_once(' ') {
            Some(("SSLCertificateFile", _)) => "SSLCertificateFile {pki}/server.pem",
            Some(("SSLCertificateKeyFile", _)) => "SSLCertificateKeyFile {pki}/server.key",
            Some(("DocumentRoot", _)) => "DocumentRoot {docroot}",
            _ => line,
        };
        adapted += &line
            .replace("*:443", "127.0.0.1:{port:tls}")
            .replace("${APACHE_LOG_DIR}", "{root}")
            .replace("backend.example.org:8080", "127.0.0.1:{backend}")
            .replace("partner.example.net", "127.0.0.1:{backend}");
        adapted.push('\n');
    }
    adapted
}

fn with_example(name: &str, backend: u16) -> Builder {
    Httpd::builder()
        .load(&["authz_user", "proxy", "proxy_http", "auth_openidc"])
        .value("backend", backend)
        .config(&example(name))
        .allow_log("AH01909*does NOT include an ID which matches the server name")
}

#[test]
fn all_examples_pass_configtest_as_they_are_and_uncommented() {
    let mut examples = 0;
    for entry in std::fs::read_dir(project("conf")).expect("conf/") {
        let file = entry.expect("an entry").file_name().into_string().expect("a name");
        if !file.starts_with("vhost-") {
            continue;
        }
        examples += 1;
        let text = example(&format!("conf/{file}"));
        let uncommented: Vec<&str> = text.lines().map(uncomment).collect();
        for text in [&text, &uncommented.join("\n")] {
            let verdict = Httpd::builder()
                .load(&["authz_user", "proxy", "proxy_http", "auth_openidc"])
                .value("backend", 8080)
                .config(text)
                .configtest();
            assert_eq!(verdict.code, Some(0), "{file}: {verdict:?}");
        }
    }
    assert!(examples >= 3);
}

/// A directive that is commented out comes into force: one that stands right after the "#", or four blanks farther where it
/// is in a section that is commented out too. In explanations there is one blank.
fn uncomment(line: &str) -> &str {
    let Some(rest) = line.trim_start().strip_prefix('#') else { return line };
    let directive = rest.strip_prefix("    ").unwrap_or(rest);
    match directive.starts_with(|first: char| first == '<' || first.is_ascii_uppercase()) {
        true => directive,
        false => line,
    }
}

/// A client without Token Binding, and one with, at a host whose certificate is not checked.
fn clients(server: &Httpd, host: &str) -> (Bound, Bound) {
    let connect = |offers: bool| {
        let connector = connector().insecure();
        let connector = if offers { connector } else { connector.offer(tokbind::tls::Offer::None) };
        Bound::connect(&connector.build().expect("a connector"), server.tls(), host)
    };
    (connect(false), connect(true))
}

#[test]
fn the_application_example_does_what_it_says() {
    let server = with_example("conf/vhost-application.conf", 9)
        .file("admin/page.txt", "inside\n")
        .allow_log("AH01630*client denied")
        .start();
    let (mut without, mut with) = clients(&server, "app.example.org");
    assert_eq!(without.get("/admin/page.txt", &[]).status, 403);
    assert_eq!(with.get("/admin/page.txt", &[]).status, 200);
    let provided = id(&keys().a);
    let seen = with.get("/cgi/env.cgi", &[]);
    assert_eq!(seen.variable("Sec_Provided_Token_Binding_ID"), Some(provided.as_str()));
    assert_eq!(seen.variable("Token_Binding_Context"), None);
    assert_eq!(without.get("/cgi/env.cgi", &[]).variable("Sec_Provided_Token_Binding_ID"), None);
}

#[test]
fn the_reverse_proxy_example_does_what_it_says() {
    let backend = Backend::http();
    let server = with_example("conf/vhost-reverse-proxy.conf", backend.port()).start();
    let (_, mut with) = clients(&server, "www.example.org");
    let field = format!("Sec-Provided-Token-Binding-ID: {}", id(&keys().a));
    assert!(with.get("/page", &[]).body.contains(&field));
    let partner = with.get("/partner/page", &[]).body;
    assert!(partner.starts_with("GET /page ") && !partner.contains("Token-Binding"), "{partner}");
}

#[test]
fn the_openidc_example_refuses_before_the_login() {
    let server = with_example("conf/vhost-openidc.conf", 9)
        .allow_log("AH01630*client denied")
        .allow_log("oidc_")
        .start();
    let (mut without, _) = clients(&server, "login.example.org");
    assert_eq!(without.get("/hello.txt", &[]).status, 403);
}
