//! `TokenBindingPassVar` inside the server: subrequests, redirects within, and what mod_dir puts under a request.

use crate::common::exchange::Answer;
use crate::common::{Bound, Builder, Httpd, id, keys};

const PROVIDED: &str = "Sec_Provided_Token_Binding_ID";
const REFERRED: &str = "Sec_Referred_Token_Binding_ID";
const CONTEXT: &str = "Token_Binding_Context";

/// Prints its environment, for places of its own.
const SCRIPT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n";

/// Which of provided, referred and context the script got, as variables and as headers; these must agree.
fn got(answer: &Answer) -> Vec<&'static str> {
    let (provided, referred) = (id(&keys().a), id(&keys().elsewhere));
    let mut got = Vec::new();
    for (word, name, header, expected) in [
        ("provided", PROVIDED, "HTTP_SEC_PROVIDED_TOKEN_BINDING_ID", Some(&provided)),
        ("referred", REFERRED, "HTTP_SEC_REFERRED_TOKEN_BINDING_ID", Some(&referred)),
        ("context", CONTEXT, "HTTP_TOKEN_BINDING_CONTEXT", None),
    ] {
        assert_eq!(answer.variable(name), answer.variable(header), "{answer:?}");
        let Some(value) = answer.variable(name) else { continue };
        assert!(expected.is_none_or(|expected| expected == value), "{answer:?}");
        got.push(word);
    }
    got
}

fn bound(server: &Httpd) -> Bound {
    Bound::open(server).referring(&keys().elsewhere)
}

/// Sections that pass different things to the same script.
fn sections() -> Builder {
    let mut builder = Httpd::builder().load(&["include"]);
    for name in ["provided", "referred", "context", "none"] {
        builder = builder
            .file(&format!("{name}/env.cgi"), SCRIPT)
            .file(&format!("{name}/index.cgi"), SCRIPT)
            .config(&format!("<Location /{name}>\nTokenBindingPassVar {name}\n</Location>"));
    }
    builder
}

#[test]
fn applications_get_what_their_location_says() {
    let server = sections().start();
    let mut client = bound(&server);
    for name in ["provided", "referred", "context", "none", "provided"] {
        let expected = [name].into_iter().filter(|name| *name != "none").collect::<Vec<_>>();
        let answer = client.get(&format!("/{name}/env.cgi"), &[]);
        assert_eq!(got(&answer), expected, "{name} {answer:?}");
        // The message goes where the context goes, so that an application can verify it.
        assert_eq!(
            answer.variable("HTTP_SEC_TOKEN_BINDING").is_some(),
            name == "context",
            "{name} {answer:?}"
        );
        assert_eq!(answer.variable("Token_Binding_Hash").is_some(), name == "provided", "{name} {answer:?}");
        assert_eq!(answer.variable("Token_Binding_Status"), Some("verified"), "in any case: {answer:?}");
    }
}

#[test]
fn by_default_applications_get_all_variables_but_no_header_with_keying_material() {
    let server = Httpd::builder().start();
    let answer = bound(&server).get("/cgi/env.cgi", &[]);
    for name in [PROVIDED, REFERRED, CONTEXT, "Sec_Token_Binding_Context", "Token_Binding_Hash"] {
        assert!(answer.variable(name).is_some(), "{name} {answer:?}");
    }
    for name in ["HTTP_TOKEN_BINDING_CONTEXT", "HTTP_SEC_TOKEN_BINDING_CONTEXT", "HTTP_SEC_TOKEN_BINDING"] {
        assert_eq!(answer.variable(name), None, "{name} {answer:?}");
    }
}

#[test]
fn a_subrequest_gets_what_its_own_location_says() {
    let mut builder = sections();
    for name in ["provided", "referred", "none"] {
        for target in ["provided", "referred", "none"] {
            let page = format!("<!--#include virtual=\"/{target}/env.cgi\" -->");
            builder = builder.file(&format!("{name}/{target}.shtml"), &page);
        }
    }
    let server = builder.start();
    let mut client = bound(&server);
    for name in ["provided", "referred", "none"] {
        for target in ["provided", "referred", "none"] {
            let answer = client.get(&format!("/{name}/{target}.shtml"), &[]);
            let expected = [target].into_iter().filter(|name| *name != "none").collect::<Vec<_>>();
            assert_eq!(got(&answer), expected, "{target} in {name}: {answer:?}");
        }
    }
}

#[test]
fn the_main_request_keeps_its_own_after_a_subrequest() {
    // The page shows its own variable before and after it included another place's.
    let page = "<!--#echo var=\"Sec-Provided-Token-Binding-ID\" -->|\
                <!--#include virtual=\"/none/env.cgi\" -->|\
                <!--#echo var=\"Sec-Provided-Token-Binding-ID\" -->|";
    let server = sections().file("provided/page.shtml", page).start();
    let answer = bound(&server).get("/provided/page.shtml", &[]);
    let parts: Vec<_> = answer.body.split('|').collect();
    assert_eq!([parts[0], parts[2]], [id(&keys().a).as_str(); 2], "{answer:?}");
    assert!(!parts[1].contains(&id(&keys().a)), "{answer:?}");
}

#[test]
fn an_internal_redirect_gets_what_its_target_says() {
    let redirect = |name: &str| format!("#!/bin/sh\nprintf 'Location: /{name}/env.cgi\\r\\n\\r\\n'\n");
    let server = sections()
        .load(&["rewrite"])
        .config("RewriteEngine On")
        .tls_config("RewriteEngine On\nRewriteRule ^/rewritten/(.*) /$1/env.cgi [PT]")
        .file("none/to-provided.cgi", &redirect("provided"))
        .file("context/to-none.cgi", &redirect("none"))
        .file("provided/to-referred.cgi", &redirect("referred"))
        .start();
    let mut client = bound(&server);
    for (path, expected) in [
        ("/none/to-provided.cgi", ["provided"].as_slice()),
        ("/context/to-none.cgi", &[]),
        ("/provided/to-referred.cgi", &["referred"]),
        ("/rewritten/provided", &["provided"]),
        ("/rewritten/none", &[]),
    ] {
        let answer = client.get(path, &[]);
        assert_eq!(got(&answer), expected, "{path} {answer:?}");
        if expected.is_empty() {
            assert!(!answer.body.contains(&id(&keys().a)), "also as REDIRECT_...: {path} {answer:?}");
        }
    }
}

#[test]
fn a_directorys_index_gets_what_its_own_section_says() {
    let server = sections()
        .config("DirectoryIndex index.cgi")
        .file("both/index.cgi", SCRIPT)
        .config("<Directory {docroot}/both>\nTokenBindingPassVar referred\n<Files index.cgi>\nTokenBindingPassVar provided\n</Files>\n</Directory>")
        .file("closed/index.cgi", SCRIPT)
        .config("<Directory {docroot}/closed>\nTokenBindingPassVar context\n<Files index.cgi>\nTokenBindingPassVar none\n</Files>\n</Directory>")
        .start();
    let mut client = bound(&server);
    for (path, expected) in [
        ("/both/", ["provided"].as_slice()),
        ("/both/index.cgi", &["provided"]),
        ("/closed/", &[]),
        ("/none/", &[]),
        ("/referred/", &["referred"]),
    ] {
        let answer = client.get(path, &[]);
        assert_eq!(got(&answer), expected, "{path} {answer:?}");
    }
}

#[test]
fn negotiated_documents_and_error_documents_get_what_their_place_says() {
    let server = sections()
        .load(&["negotiation"])
        .config("<Directory {docroot}/many>\nOptions +MultiViews +ExecCGI\nMultiviewsMatch Handlers\nTokenBindingPassVar context\n<Files page.cgi>\nTokenBindingPassVar provided\n</Files>\n</Directory>")
        .file("many/page.cgi", SCRIPT)
        .config("<Location /denied>\nRequire all denied\nErrorDocument 403 /referred/env.cgi\nTokenBindingPassVar context\n</Location>")
        .allow_log("AH01630*client denied")
        .start();
    let mut client = bound(&server);
    let answer = client.get("/many/page", &[]);
    assert_eq!((answer.status, got(&answer)), (200, vec!["provided"]), "{answer:?}");
    let answer = client.get("/denied", &[]);
    assert_eq!((answer.status, got(&answer)), (403, vec!["referred"]), "{answer:?}");
}

#[test]
fn an_administrators_own_header_is_left_alone() {
    let server = sections()
        .load(&["headers"])
        .config("<Location /none>\nRequestHeader set Token-Binding-Context \"of my own\"\n</Location>")
        .start();
    let answer = bound(&server).get("/none/env.cgi", &["Token-Binding-Context: forged"]);
    assert_eq!(answer.variable("HTTP_TOKEN_BINDING_CONTEXT"), Some("of my own"), "{answer:?}");
    assert_eq!(answer.variable(CONTEXT), None, "{answer:?}");
}

#[test]
fn early_readers_see_verified_values_only() {
    let server = Httpd::builder()
        .load(&["setenvif", "headers", "rewrite"])
        .config(
            "SetEnvIf Sec-Provided-Token-Binding-ID (.+) FIELD=$1\n\
             SetEnvIfExpr \"reqenv('Sec-Provided-Token-Binding-ID') =~ /(.+)/\" VARIABLE=$1\n\
             SetEnvIfExpr \"reqenv('Token-Binding-Status') =~ /(.+)/\" JUDGED=$1\n\
             RequestHeader set Early expr=%{HTTP:Sec-Provided-Token-Binding-ID} early",
        )
        .start();
    let answer = Bound::open(&server).get("/cgi/env.cgi", &["Sec-Provided-Token-Binding-ID: forged"]);
    // SetEnvIf falls back to variables where there is no such field: at that time there is none.
    for name in ["FIELD", "VARIABLE"] {
        assert_eq!(answer.variable(name), Some(id(&keys().a).as_str()), "{name} {answer:?}");
    }
    assert_eq!(answer.variable("HTTP_EARLY"), Some(""), "{answer:?}");
    assert_eq!(answer.variable("JUDGED"), Some("verified"), "{answer:?}");
    assert!(!answer.body.contains("forged"), "{answer:?}");
}
