//! The few parts of a URL that are needed before libcurl reads it.

use std::net::IpAddr;

/// A host name that has to be looked up, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    pub host: &'a str,
    pub port: u16,
}

impl<'a> Target<'a> {
    /// Where a URL leads; `None` where libcurl needs no help: an address, or something that it has to decode or refuse.
    ///
    /// # Errors
    /// Neither http nor https. libcurl speaks much else, and nobody wants keys from an LDAP server or over gopher.
    pub fn of_url(url: &'a str) -> Result<Option<Self>, &'static str> {
        let default = if after_scheme(url, "https").is_some() {
            443
        } else if after_scheme(url, "http").is_some() {
            80
        } else {
            return Err("only https, http and file are spoken");
        };
        Ok(Self::of_authority(authority(url), default))
    }

    /// Where a proxy is: `host:port`, or a URL of libcurl's.
    pub fn of_proxy(proxy: &'a str) -> Option<Self> {
        let default = if after_scheme(proxy, "https").is_some() { 443 } else { 1080 };
        Self::of_authority(authority(proxy), default)
    }

    fn of_authority(authority: &'a str, default: u16) -> Option<Self> {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, default),
        };
        // Brackets are an address, % and what is not ASCII are to be decoded.
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
        let is_name = !host.is_empty() && host.bytes().all(plain) && host.parse::<IpAddr>().is_err();
        is_name.then_some(Self { host, port })
    }
}

/// What follows `scheme://`, where the URL is of this scheme.
pub fn after_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = url.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Host and port as the URL has them: what may stand in a log without giving away paths or credentials.
pub fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit('@').next().unwrap_or(authority)
}

/// An address as it stands in a URL.
pub fn in_brackets(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_names_the_host_without_path_and_credentials() {
        assert_eq!(authority("https://user:secret@as.example:8443/jwks?x=1"), "as.example:8443");
        assert_eq!(authority("http://as.example"), "as.example");
        assert_eq!(authority("https://as.example?token=x@y"), "as.example");
    }

    #[test]
    fn names_are_looked_up_with_the_port_of_the_scheme() {
        let target = |host, port| Ok(Some(Target { host, port }));
        assert_eq!(Target::of_url("https://as.example/jwks"), target("as.example", 443));
        assert_eq!(Target::of_url("HTTP://as.example"), target("as.example", 80));
        assert_eq!(Target::of_url("https://u:p@as_1.example:8443?x"), target("as_1.example", 8443));
    }

    #[test]
    fn what_libcurl_has_to_decode_or_refuse_is_left_to_it() {
        for url in [
            "https://192.0.2.1/",
            "https://[::1]:1/",
            "https://b\u{fc}cher.example/",
            "https://a%62/",
            "https:///x",
        ] {
            assert_eq!(Target::of_url(url), Ok(None), "{url}");
        }
        assert_eq!(Target::of_url("https://as.example:99999/"), Ok(None));
    }

    #[test]
    fn other_schemes_are_not_spoken() {
        for url in [
            "ldap://as.example/",
            "gopher://as.example/",
            "as.example",
            "https:/as.example",
            "xhttps://as.example",
        ] {
            assert!(Target::of_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_proxy_has_libcurls_default_ports() {
        assert_eq!(Target::of_proxy("proxy.example"), Some(Target { host: "proxy.example", port: 1080 }));
        assert_eq!(
            Target::of_proxy("proxy.example:3128"),
            Some(Target { host: "proxy.example", port: 3128 })
        );
        assert_eq!(
            Target::of_proxy("https://u:p@proxy.example"),
            Some(Target { host: "proxy.example", port: 443 })
        );
        assert_eq!(Target::of_proxy("127.0.0.1:3128"), None);
    }
}
