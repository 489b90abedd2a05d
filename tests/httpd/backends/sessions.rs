//! Sessions bound to a Token Binding ID, to a certificate, to both, to nothing.

use serde_json::json;

use super::stage::{HOSTS, Stage};
use crate::common::bound::thumbprint;
use crate::common::exchange::get_plain;
use crate::common::{Independent, id, keys, pki};

#[test]
fn a_session_is_good_for_the_key_that_opened_it() {
    let stage = Stage::set();
    let (owner, thief, nobody) = (stage.with_key(&keys().a), stage.with_key(&keys().b), stage.nobody());
    let claim = format!("Sec-Provided-Token-Binding-ID: {}", id(&keys().a));
    let spelt = claim.replace('-', "_");
    for host in HOSTS {
        let (cookie, bound_to) = owner.log_in(host);
        assert_eq!(bound_to, json!({"token-binding": id(&keys().a)}), "{host}");
        assert_eq!(owner.visit(host, &cookie), 200, "{host}: on another connection");
        assert_eq!(thief.visit(host, &cookie), 401, "{host}: another key");
        assert_eq!(nobody.visit(host, &cookie), 401, "{host}: no key");
        for fields in [&[claim.as_str()][..], &[&spelt], &[&claim, &spelt]] {
            assert_eq!(nobody.visit_claiming(host, &cookie, fields), 401, "{host}: {fields:?}");
            assert_eq!(thief.visit_claiming(host, &cookie, fields), 401, "{host}: {fields:?}");
        }
        // What a thief does to the session leaves it as it was.
        assert_eq!(thief.ask(host, "POST /logout", &[&cookie], "").status, 200, "{host}");
        assert_eq!(owner.visit(host, &cookie), 200, "{host}: after the attempts");
        assert_eq!(owner.ask(host, "POST /logout", &[&cookie], "").status, 200, "{host}");
        assert_eq!(owner.visit(host, &cookie), 401, "{host}: after the logout");
    }
}

#[test]
fn a_session_is_good_for_the_certificate_that_opened_it() {
    let stage = Stage::set();
    let owner = stage.nobody().and_certificate(&pki().client_a);
    let thief = stage.nobody().and_certificate(&pki().client_b);
    let expected = thumbprint(&stage.front.pki("client_a.pem"));
    let der = pki().client_a.certificate.to_der().unwrap();
    let forged = format!("Client-Cert: :{}:", openssl::base64::encode_block(&der));
    let claims = [forged.as_str(), &format!("TB_SSL_CLIENT_CERT_FINGERPRINT: {expected}")];
    for host in HOSTS {
        let (cookie, bound_to) = owner.log_in(host);
        assert_eq!(bound_to, json!({"certificate": expected}), "{host}");
        assert_eq!(owner.visit(host, &cookie), 200, "{host}");
        for other in [thief, stage.nobody(), stage.with_key(&keys().a)] {
            assert_eq!(other.visit(host, &cookie), 401, "{host}");
            assert_eq!(other.visit_claiming(host, &cookie, &claims), 401, "{host}: forged");
        }
        assert_eq!(owner.visit(host, &cookie), 200, "{host}: after the attempts");
    }
}

#[test]
fn who_proved_two_things_at_login_has_to_prove_both_again() {
    let stage = Stage::set();
    let owner = stage.with_key(&keys().a).and_certificate(&pki().client_a);
    for host in HOSTS {
        let (cookie, bound_to) = owner.log_in(host);
        assert_eq!(bound_to.as_object().map(serde_json::Map::len), Some(2), "{host}: {bound_to}");
        assert_eq!(owner.visit(host, &cookie), 200, "{host}");
        for half in [
            stage.with_key(&keys().a),
            stage.nobody().and_certificate(&pki().client_a),
            stage.with_key(&keys().a).and_certificate(&pki().client_b),
            stage.with_key(&keys().b).and_certificate(&pki().client_a),
        ] {
            assert_eq!(half.visit(host, &cookie), 401, "{host}");
        }
    }
}

#[test]
fn a_session_without_a_binding_is_anyones_and_stays_so() {
    let stage = Stage::set();
    for host in HOSTS {
        let (cookie, bound_to) = stage.nobody().log_in(host);
        assert_eq!(bound_to, json!({}), "{host}");
        for visitor in [stage.with_key(&keys().a), stage.with_key(&keys().b), stage.nobody()] {
            assert_eq!(visitor.visit(host, &cookie), 200, "{host}");
        }
        // Logging in again, by whom it may concern, makes another session; this one is no part of it.
        let answer = stage.with_key(&keys().a).ask(host, "POST /login", &[&cookie], "user=bob");
        let set = answer.header("Set-Cookie").expect("a session");
        let value = cookie.split_once('=').unwrap().1;
        assert!(answer.status == 200 && !set.contains(value), "{host}: {answer:?}");
        assert_eq!(stage.with_key(&keys().b).visit(host, &cookie), 200, "{host}");
    }
}

#[test]
fn replayed_messages_and_plain_http_get_nobody_in() {
    let stage = Stage::set();
    let owner = stage.with_key(&keys().a);
    for host in HOSTS {
        let (cookie, _) = owner.log_in(host);
        // Signed by the owner's key, for another connection of his.
        let stolen = owner.open(host).message();
        let replayed = format!("Sec-Token-Binding: {stolen}");
        assert_eq!(stage.nobody().visit_claiming(host, &cookie, &[&replayed]), 401, "{host}");
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{replayed}\r\n{cookie}\r\n\r\n");
        let answer = owner.open(host).exchange(&request).unwrap();
        assert!(answer.status == 400 && !answer.body.contains("alice"), "{host}: {answer:?}");
    }
    let (cookie, _) = owner.log_in("python.test");
    let claim = format!("Sec-Provided-Token-Binding-ID: {}", id(&keys().a));
    let answer = get_plain(stage.front.plain(), "localhost", "/", &[&cookie, &claim]);
    assert_eq!(answer.status, 401, "{answer:?}");
}

#[test]
fn streams_of_http2_reach_the_session_with_the_right_key_only() {
    let stage = Stage::set();
    let mut client = Independent::start();
    let alice = client.key("alice", "ecdsap256");
    client.key("mallory", "ecdsap256");
    for host in HOSTS {
        let options = json!({"sni": host, "tls": "1.3", "alpn": "h2", "offer": "01000102"});
        client.connect(host, stage.front.tls(), &options).done();
        let owner = client.message(host, &json!([{"key": "alice"}]));
        let thief = client.message(host, &json!([{"key": "mallory"}]));
        // Without a length CGI programs see no body (RFC 3875 §4.1.2).
        let (form, length) =
            (["content-type", "application/x-www-form-urlencoded"], ["content-length", "10"]);
        let login = json!([{"path": "/login", "method": "POST", "body": "user=alice",
            "headers": [["sec-token-binding", owner], form, length]}]);
        let answer = client.streams_of(host, host, &login).remove(0);
        assert!(answer.status == 200 && answer.body.contains(&alice.id), "{host}: {answer:?}");
        let cookie = answer.header("Set-Cookie").and_then(|cookie| cookie.split(';').next()).unwrap();
        let visit = |message: &str| json!({"path": "/", "headers": [["sec-token-binding", message], ["cookie", cookie]]});
        let answers = client.streams_of(host, host, &json!([visit(&owner), visit(&thief), visit(&owner)]));
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 401, 200], "{host}");
        client.close(host);
    }
}
