//! Writes the seeds of the fuzz targets: `cargo run --manifest-path fuzz/Cargo.toml --bin seeds`.
//!
//! A seed shows the fuzzer how an input looks that gets far. What it finds on its own stays in `target/fuzz/corpus`.

use std::fs;
use std::path::Path;

use fuzz::{jwks, jwt, keys};
use token_binding::{MessageBuilder, TokenBindingContext, base64url};
use token_binding::{Negotiated, ProtocolVersion, TokenBindingHash};

/// Inputs of one target.
type Seeds = Vec<Vec<u8>>;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let all: [(&str, Seeds); 14] = [
        ("message", message()),
        ("verify", verify()),
        ("negotiation", negotiation()),
        ("encodings", encodings()),
        ("options", options()),
        ("jwt", tokens()),
        ("jwks", documents()),
        ("answers", answers()),
        ("json", claims().into_iter().map(|claims| claims.into_bytes()).collect()),
        ("claims", claim_rules()),
        ("challenge", challenges()),
        ("shared_cache", entries()),
        ("extraction", requests()),
        ("request", series()),
    ];
    for (target, seeds) in all {
        let directory = root.join(target);
        fs::create_dir_all(&directory)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}

/// For targets whose input is a series of choices: these, and some that SHA-256 makes.
fn choices(first: &[&[u8]], length: usize) -> Seeds {
    let made = (0..24u8).map(|number| {
        let blocks = (0..=u8::MAX).flat_map(|block| openssl::sha::sha256(&[number, block]));
        blocks.take(length).collect()
    });
    first.iter().map(|seed| seed.to_vec()).chain(made).collect()
}

/// A prefix of choices before each of some texts.
fn after(prefixes: &[&[u8]], texts: &[Vec<u8>]) -> Seeds {
    let pairs = prefixes.iter().flat_map(|prefix| texts.iter().map(move |text| [prefix, &text[..]].concat()));
    pairs.collect()
}

/// Octets after their length, as `Choices::some` takes them.
fn counted(octets: &[u8]) -> Vec<u8> {
    let length = octets.len().min(255);
    [&[length as u8], &octets[..length]].concat()
}

fn message() -> Seeds {
    let extensions: [&[u8]; 2] = [&[], &[7, 0, 1, 9, 8, 0, 0]];
    let mut seeds = Vec::new();
    for scheme in 0..3 {
        let mut builder = MessageBuilder::new();
        for (kind, extensions) in [0u8, 1, 200].into_iter().zip(extensions.iter().cycle()) {
            let signature = vec![7; if scheme == 2 { 64 } else { 256 }];
            builder.push(kind, &keys::pair(scheme, 0).id(), &signature, extensions).expect("fits");
            seeds.push(builder.to_bytes().expect("fits"));
            seeds.push(builder.to_field_value().expect("fits").into_bytes());
        }
    }
    let mut edge = |id: &[u8], signature: usize, extensions: &[u8]| {
        let mut builder = MessageBuilder::new();
        builder.push(0, id, &vec![9; signature], extensions).expect("fits");
        seeds.push(builder.to_bytes().expect("fits"));
    };
    // just below and at the bounds of RFC 8471 §3: of a signature, of the whole list
    for signature in [63, 64] {
        edge(&keys::pair(2, 0).id(), signature, &[5, 0, 1, 1]);
    }
    for key in [58, 59] {
        edge(&[&[99, 0, key], &vec![1; usize::from(key)][..]].concat(), 64, &[]);
    }
    // of the parts of a key: empty, one octet, one too many
    for key in [&[0, 0, 1, 3][..], &[0, 1, 7, 0], &[0, 1, 7, 1, 3], &[0, 1, 7, 1, 3, 0]] {
        edge(&[&[0, 0, key.len() as u8], key].concat(), 256, &[]);
    }
    for key in [&[0][..], &[1, 4], &[1, 4, 4]] {
        edge(&[&[2, 0, key.len() as u8], key].concat(), 128, &[]);
    }
    // of extensions: cut off in the type, the length, the data
    for extensions in [&[7][..], &[7, 0], &[7, 0, 1], &[7, 0, 0, 7]] {
        edge(&keys::pair(2, 0).id(), 64, extensions);
    }
    seeds
}

/// Bindings as `verify::run` chooses them: scheme, key, type, connection, nothing wrong, no extensions.
fn verify() -> Seeds {
    let (provided, referred, other) = ([2, 0, 0, 0, 0, 0], [2, 1, 1, 0, 0, 0], [0, 1, 3, 0, 0, 0]);
    let numbers: [&[[u8; 6]]; 9] = [
        &[provided],
        &[provided, referred],
        &[provided, referred, referred],
        &[provided, provided],
        &[referred],
        &[provided, other, other],
        &[provided, other, other, other, other, other, other, other],
        &[provided, other, other, other, other, other, other, other, other],
        &[[1, 0, 0, 0, 0, 0], referred],
    ];
    let message = |start: [u8; 3], bindings: &[[u8; 6]]| {
        [&start[..], &[bindings.len() as u8 - 1], &bindings.concat(), &[0, 0]].concat()
    };
    let mut seeds: Seeds = numbers.iter().map(|bindings| message([2, 0, 0], bindings)).collect();
    seeds.push(message([1, 0, 0], numbers[8]));
    seeds.push(message([2, 1, 0], numbers[0]));
    // each part made for something else, then each kind of change
    seeds.extend((10..15).map(|wrong| message([2, 0, 0], &[[2, 0, 0, 0, wrong, 1]])));
    seeds.extend((5..8).map(|extensions| message([2, 0, 0], &[[2, 0, 0, 0, 0, extensions]])));
    seeds.into_iter().chain(choices(&[], 48)).collect()
}

/// One token and three requests, as `request::run` chooses them.
fn series() -> Seeds {
    let mut seeds = Vec::new();
    for (maker, exp) in [(0, 2), (1, 2), (2, 2), (3, 3), (0, 4), (1, 5), (2, 0)] {
        for (certificate, key) in [(0, 0), (1, 0), (0, 1), (1, 1), (3, 0), (0, 3)] {
            let token = [0, maker, exp, certificate, key, 0, 0];
            // with its proofs, without, and when it is over
            let step = |pass, certificate, bound| [pass, 0, 0, 0, 0, certificate, bound, 0, 0, 0, 0];
            // a request without a message makes no choices about one
            let steps = [step(0, 1, 1).to_vec(), step(0, 0, 0)[..7].to_vec(), step(6, 1, 1).to_vec()];
            seeds.push([&token[..], &[2], &steps.concat()].concat());
        }
    }
    seeds.into_iter().chain(choices(&[], 96)).collect()
}

fn negotiation() -> Seeds {
    let names =
        ["Sec-Token-Binding", "sec_token_binding", "TB_SSL_CLIENT_CERT_FINGERPRINT", "Client.Cert-Chain"];
    let words = ["provided referred", "none", "other context provided"];
    let mut texts: Seeds = names.iter().chain(&words).map(|text| text.as_bytes().to_vec()).collect();
    texts.extend(
        [&[1, 0, 3, 2, 1, 0][..], &[1, 0, 1, 2], &[0, 13, 1, 2], &[1, 1, 2, 9, 0], &[1, 0, 0]].map(Vec::from),
    );
    after(&[&[0x07, 2, 2, 1, 0], &[0xff, 0, 1], &[0x78, 1, 0, 2]], &texts)
}

fn encodings() -> Seeds {
    let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters: keys::SCHEMES[2] };
    let context = TokenBindingContext::encode(&negotiated, &keys::ekm(0));
    let texts = ["", "AA", "AB", "AAA=", "-__-", "a=1&&b=%26+x&c", "%00", "%e", "AQAC,AQAC"];
    texts.iter().copied().chain([context.as_str()]).map(|text| text.as_bytes().to_vec()).collect()
}

fn options() -> Seeds {
    let texts = [
        "type=mtls&mtls.policy=optional",
        "type=token-binding&iss=https%3A%2F%2Fas.example&aud=api&verify.exp=optional&kid=x",
        "jwks_uri.ssl_verify=off&jwks_uri.expiry=60&verify.cache=none&expiry=5",
        "introspect.auth=client_secret_jwt&client_id=a&client_secret=Hush-4f1c&introspect.aud=b",
        "introspect.auth=private_key_jwt&client_id=a&jwk=Hush-4f1c&introspect.params=a%3D1%26b%3D2",
        "introspect.auth=basic&username=u&password=Hush-4f1c",
        "name=access_token&strip=on",
        "name=X-Token&type=",
        "prefix=X-&encoding=latin1&headers=off",
        "host=r&port=7000&password=Hush-4f1c&tls=on&ca_file=/x&timeout=50",
        "config_string=--SERVER%3Da:1+--SERVER%3Db&encrypt=0",
        "alb_base_url=https%3A%2F%2Fkeys.example%2F",
        "role:admin scope~^read",
    ];
    let texts: Seeds = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let directives = (0..13).map(|kind| [0, kind, kind % 8, 2]);
    let others = [[1, 0, 0, 2], [1, 3, 0, 2], [2, 0, 0, 2], [3, 0, 0, 2], [3, 3, 0, 2], [3, 1, 0, 2]];
    let mut seeds: Seeds = directives
        .chain(others)
        .zip(texts.iter().cycle())
        .map(|(start, text)| [&start, &text[..]].concat())
        .collect();
    seeds.extend(choices(&[], 64));
    seeds
}

fn tokens() -> Seeds {
    let any = br#"{"alg":"ES256","kid":"ec","typ":"at+jwt"}"#;
    let raw = [
        [&[3][..], jwt::sign(0, any, br#"{"sub":"joe"}"#).as_bytes()].concat(),
        [&[3][..], b"eyJhbGciOiJub25lIn0.e30."].concat(),
        [&[3][..], b"a.b.c"].concat(),
    ];
    let made = (0..10).map(|signer| [0, signer, 0, 0, 0, 0].to_vec());
    made.chain(raw).chain(choices(&[], 40)).collect()
}

fn documents() -> Seeds {
    let set = serde_json::json!({ "keys": *jwks::JWKS }).to_string();
    let pem = keys::EC[0].replace("PRIVATE", "PUBLIC");
    let mut raw: Seeds = jwks::JWKS.iter().map(|jwk| jwk.to_string().into_bytes()).collect();
    raw.extend([set.into_bytes(), pem.into_bytes()]);
    after(&[&[2]], &raw).into_iter().chain(choices(&[], 48)).collect()
}

fn answers() -> Seeds {
    let texts = [
        r#"{"active":true,"sub":"joe","exp":2000000000,"scope":"a b"}"#,
        r#"{"active":false}"#,
        r#"{"active":"true"}"#,
        r#"{"issuer":"https://as.example","jwks_uri":"https://as.example/jwks"}"#,
        r#"{"issuer":"https://as.example/one","introspection_endpoint":"https://as.example/i?x#y"}"#,
        r#"{"issuer":"https://named.example","jwks_uri":"https://h/","introspection_endpoint":"https://h/"}"#,
        r#"{"issuer":"http://127.0.0.1","jwks_uri":"http://127.0.0.1:8080/"}"#,
        "public, max-age=300",
        "no-store, max-age=\"5\"",
        "https://user@as.example/",
        "http://[::1]:8080/x?y#z",
    ];
    let texts: Seeds = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    after(&[&[0, 0, 0], &[0, 1, 0], &[0, 2, 1], &[0, 4, 0]], &texts)
}

fn claims() -> Vec<String> {
    let hash = |octets: &[u8]| TokenBindingHash::of(octets).to_base64url();
    let print = base64url::encode(&[7; 32]);
    vec![
        r#"{"sub":"joe","exp":1001,"nbf":999.5,"iat":1000,"iss":"a","aud":["b","c"]}"#.into(),
        r#"{"exp":1e3,"sub":"\u00e9\ud83d\ude00\n","a":{"b":[null,true,-0,1.5e-3]}}"#.into(),
        r#"{"sub":"joe","exp":18446744073709551615,"client_id":"x","client-id":"y","CLIENT ID":"z"}"#.into(),
        r#"{"sub":"joe","exp":-9223372036854775808,"scope":"read write","access_token":"evil"}"#.into(),
        format!(r#"{{"cnf":{{"x5t#S256":"{print}"}}}}"#),
        format!(r#"{{"cnf":{{"tbh":"{}"}}}}"#, hash(fuzz::json::BOUND_ID)),
        format!(r#"{{"cnf":{{"tbh":"{}","x5t#S256":"{print}"}}}}"#, hash(b"x")),
        r#"{"cnf":{"tbh":5}}"#.into(),
        r#"{"cnf":{"jkt":"x"}}"#.into(),
        r#"{"cnf":null}"#.into(),
        r#"{"a":1,"\u0061":2}"#.into(),
        format!("{{\"a\":{}{}}}", "[".repeat(31), "]".repeat(31)),
        "{\"a\":0.1,\"b\":123456789012345678901234567890,\"c\":1E+2}".into(),
    ]
}

fn claim_rules() -> Seeds {
    let texts: Seeds = claims().into_iter().map(String::into_bytes).collect();
    let spec = counted(b"scope:read");
    let prefixes: Vec<_> = (0..6).map(|number| [&[number, number], &spec[..]].concat()).collect();
    after(&prefixes.iter().map(Vec::as_slice).collect::<Vec<_>>(), &texts)
}

fn challenges() -> Seeds {
    let texts =
        ["realm", "a\"b\\c\r\nX: y", "", "\u{e9}, Basic realm=\"x\""].map(|text| text.as_bytes().to_vec());
    let prefixes: Vec<Vec<u8>> = (0..12)
        .map(|kind| {
            if matches!(kind, 4..=6) {
                [&[0, kind][..], &counted(b"re\"ad \r\n x")].concat()
            } else {
                vec![0, kind]
            }
        })
        .collect();
    after(
        &prefixes
            .iter()
            .map(|prefix| [&prefix[..], &[0, 0]].concat())
            .collect::<Vec<_>>()
            .iter()
            .map(Vec::as_slice)
            .collect::<Vec<_>>(),
        &texts,
    )
}

fn entries() -> Seeds {
    use sender_constraint::json::parse_object;
    use sender_constraint::verdict::{Remembered, Verdict};
    let mut texts: Seeds = claims()
        .iter()
        .filter_map(|text| Verdict::new(parse_object(text.as_bytes()).ok()?, 300).ok())
        .map(|verdict| Remembered::Good(verdict).encode())
        .collect();
    texts.push(Remembered::Inactive { until: 300 }.encode());
    texts.extend(claims().into_iter().map(String::into_bytes));
    let redis = [
        "$5\r\nhello\r\n",
        "$-1\r\n",
        "+OK\r\n",
        "-ERR x\r\n",
        "*2\r\n:1\r\n*1\r\n_\r\n",
        "%1\r\n+a\r\n#t\r\n",
    ];
    texts.extend(redis.map(|text| text.as_bytes().to_vec()));
    let sealed = [&counted(b"plain")[..], &[0, 0, 0, 0, 0, 100]].concat();
    after(&[&sealed], &texts)
}

fn requests() -> Seeds {
    let all: [[&str; 7]; 6] = [
        ["Bearer abc", "", "", "", "", "", ""],
        [
            "Basic dTpzZWNyZXQ=",
            "t=abc; u=1",
            "abc",
            "abc",
            "access_token=abc&x=1",
            "",
            "access_token=abc&y=2",
        ],
        ["", "u=1; t=%61bc; t2=x", "", "", "", "", ""],
        ["", "", "", "", "x=1&access%5Ftoken=a%2Bc&y", "", ""],
        ["", "", "", "", "", "application/x-www-form-urlencoded; charset=utf-8", "z=1&access_token=abc"],
        ["bearer  a, Bearer b", "t=a;t=b", "", "", "access_token=a&access_token=b", "text/plain", "broken"],
    ];
    let mut seeds = Vec::new();
    for wanted in [0, 1, 2, 4, 8, 16, 32, 64, 127] {
        for parts in &all {
            let mut seed = vec![wanted];
            for part in &parts[..6] {
                // no part, or one
                seed.extend(if part.is_empty() {
                    vec![2]
                } else {
                    [&[0], &counted(part.as_bytes())[..]].concat()
                });
            }
            seed.extend([0, u8::from(!parts[5].is_empty())]);
            seed.extend(parts[6].as_bytes());
            seeds.push(seed);
        }
    }
    seeds
}
