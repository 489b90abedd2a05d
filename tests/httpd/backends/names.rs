//! The table of docs/backends/README.md: each name is looked up where it is said to be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::application::{Application, documents, php_cgi};
use super::stage::{CGI, FASTCGI, PHP_HOST, php_server, with_php};
use crate::common::certificates::Identity;
use crate::common::{Bound, Httpd, Vhost, connector, id, keys, pki, tbh};
use sender_constraint::client_cert_header::client_cert;

/// Answer with all that the program knows of its request, as a JSON object.
const DUMP_WSGI: &str = "import json, sys\n\
    from wsgiref.simple_server import make_server\n\
    def application(environ, start_response):\n\
    \x20   start_response('200 OK', [('Content-Type', 'application/json')])\n\
    \x20   return [json.dumps({name: value for name, value in environ.items() if type(value) is str}).encode()]\n\
    make_server('127.0.0.1', int(sys.argv[1]), application).serve_forever()\n";
const DUMP_NODE: &str = "require('http').createServer((request, response) => \
    response.end(JSON.stringify(request.headers))).listen(process.argv[1], '127.0.0.1')";

/// The columns of the table, and the hosts below that they are about.
const COLUMNS: [&[&str]; 4] =
    [&["cgi.test"], &["fastcgi.test"], &["php.test", "python.test"], &["node.test"]];

/// The rows: what is told, then its name in each column, if it has one there.
fn table() -> Vec<(String, Vec<Option<String>>)> {
    let document = std::fs::read_to_string(documents("README.md")).unwrap();
    let (_, table) = document.split_once("| what | CGI |").expect("a table");
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).map(row).collect();
    assert!(rows.len() >= 8, "{rows:?}");
    rows
}

fn row(line: &str) -> (String, Vec<Option<String>>) {
    let mut cells = line.trim_matches('|').split('|').map(str::trim);
    let what = cells.next().unwrap().to_owned();
    let name = |cell: &str| cell.split('`').nth(1).map(str::to_owned);
    let names: Vec<_> = cells.map(name).collect();
    assert_eq!(names.len(), COLUMNS.len(), "{line}");
    (what, names)
}

/// What each host's program knows of one and the same request.
fn dumps() -> BTreeMap<&'static str, Value> {
    let (python, node) = (Application::python_program(DUMP_WSGI), Application::node_program(DUMP_NODE));
    let php = Application::php();
    let php_server = php_server(php.port());
    let (php_cgi, _sessions) = php_cgi();
    let host = |name: &str, lines: &str| Vhost::tls(name).config(lines);
    let to = |port: u16| format!("ProxyPass / http://127.0.0.1:{port}/");
    let front = with_php(Httpd::builder())
        .load(&["proxy", "proxy_http", "proxy_fcgi", "actions"])
        .config("TokenBindingPassVar provided referred other context\nClientCertForward Chain")
        .config("SSLVerifyClient optional_no_ca")
        .file("cgi/php.cgi", &php_cgi)
        .value("php", php.port())
        .vhost(host("cgi.test", &format!("{PHP_HOST}{CGI}")))
        .vhost(host("fastcgi.test", &format!("{PHP_HOST}{FASTCGI}")))
        .vhost(host("php.test", &to(php_server.plain().port())))
        .vhost(host("python.test", &to(python.port())))
        .vhost(host("node.test", &to(node.port())))
        .start();
    let certificates = [pki().client_a.certificate_pem(), pki().ca.certificate_pem()].concat();
    let identity = tokbind::tls::Identity::from_pem(&certificates, &pki().client_a.key_pem()).unwrap();
    let connector = connector().insecure().identity(identity).build().unwrap();
    let dump = |host: &'static str| {
        let mut client = Bound::connect(&connector, front.tls(), host).referring(&keys().elsewhere);
        let answer = client.get("/dump.php", &[]);
        (host, serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{host}: {answer:?}")))
    };
    COLUMNS.concat().into_iter().map(dump).collect()
}

#[test]
fn are_as_the_table_says() {
    let dumps = dumps();
    for (what, names) in table() {
        for (hosts, name) in COLUMNS.iter().zip(&names) {
            let Some(name) = name else { continue };
            for host in *hosts {
                let value = dumps[host][name].as_str().unwrap_or_else(|| panic!("{host} has no {name}"));
                assert!(is_right(&what, value), "{host}: {what}: {name} is {value}");
            }
        }
        // The names of headers are the same wherever CGI's rules hold.
        let headers: Vec<_> = names.iter().flatten().filter(|name| name.starts_with("HTTP_")).collect();
        assert!(headers.is_empty() || headers == [headers[0]; 3], "{what}: {headers:?}");
    }
}

fn is_right(what: &str, value: &str) -> bool {
    let der = |identity: &Identity| identity.certificate.to_der().unwrap();
    match what {
        "provided ID" | "the same as a variable" => value == id(&keys().a),
        "referred ID" => value == id(&keys().elsewhere),
        "hash of the provided ID" => value == tbh(&keys().a),
        "how the request stands" => value == "verified",
        "thumbprint of the certificate" => value == thumbprint(&der(&pki().client_a)),
        "certificate" => value == client_cert(&der(&pki().client_a)),
        "its chain" => value == client_cert(&der(&pki().ca)),
        "message" => value.starts_with('A') && value.len() > 300,
        "context of the connection" => value.len() == 47,
        other => panic!("a row that nobody checks: {other}"),
    }
}

fn thumbprint(der: &[u8]) -> String {
    token_binding::base64url::encode(&openssl::sha::sha256(der))
}
