//! A browser that a relying party has sent to the authorization server.

use tokbind::http1::Response;

use super::{AuthorizationServer, encode};

/// Keeps cookies for as long as one visit lasts.
struct Browser<'a> {
    server: &'a AuthorizationServer,
    cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    fn new(server: &'a AuthorizationServer) -> Self {
        Self { server, cookies: Vec::new() }
    }

    /// `form` is posted where there is one.
    fn visit(&mut self, url: &str, form: Option<&str>) -> Response {
        let path = url.strip_prefix(&self.server.issuer).unwrap_or(url);
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let fields = format!("Cookie: {}\r\n", jar.join("; "));
        let response = match form {
            None => self.server.exchange(None, &format!("GET {path}"), &format!("{fields}\r\n")),
            Some(form) => self.server.post(path, None, &fields, form),
        };
        for cookie in response.headers_named("Set-Cookie") {
            let cookie = String::from_utf8_lossy(cookie);
            let (name, value) =
                cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        response
    }

    /// Follows redirects until one leads away from the server; answers that one.
    fn follow(&mut self, mut response: Response) -> String {
        for _ in 0..10 {
            let location = match response.header("Location") {
                Some(location) => location.to_owned(),
                None => panic!("{}: {}", response.status, response.text()),
            };
            if !location.starts_with('/') && !location.starts_with(&self.server.issuer) {
                return location;
            }
            response = self.visit(&location, None);
        }
        panic!("it leads nowhere: {}", response.text());
    }
}

impl AuthorizationServer {
    /// A browser that was sent to the authorization endpoint: where it is sent when the user has logged in,
    /// `redirect_uri?code=...`. The user is `login_hint`, or alice.
    pub fn log_in(&self, url: &str) -> String {
        let mut browser = Browser::new(self);
        let response = browser.visit(url, None);
        browser.follow(response)
    }

    /// A browser that was sent to the end session endpoint (OpenID Connect RP-Initiated Logout §2): where it is sent
    /// when the user has confirmed, `post_logout_redirect_uri`.
    pub fn log_out(&self, url: &str) -> String {
        let mut browser = Browser::new(self);
        let page = browser.visit(url, None).text();
        let secret = page.split_once("name=\"xsrf\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        let secret = secret.unwrap_or_else(|| panic!("no form: {page}"));
        let response =
            browser.visit("/session/end/confirm", Some(&format!("xsrf={}&logout=yes", encode(secret))));
        browser.follow(response)
    }
}
