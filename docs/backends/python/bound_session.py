"""Binds a login session to what its client proves to httpd. These are the lines to take into your application."""

import base64
import hashlib
import hmac
import re


class Malformed(Exception):
    """A header that no server with mod_token_binding sends: answer 400."""


def proved(environ):
    """What the client of this request has proved: "token-binding" and "certificate", each only where there is one."""
    found = {}
    token_binding_id = environ.get("HTTP_SEC_PROVIDED_TOKEN_BINDING_ID")
    if token_binding_id is not None:
        if not re.fullmatch("[A-Za-z0-9_-]+", token_binding_id):
            raise Malformed("Sec-Provided-Token-Binding-ID")
        found["token-binding"] = token_binding_id
    # Inside httpd (mod_wsgi, CGI) there is a variable, behind a proxy a header.
    if "TB_SSL_CLIENT_CERT_FINGERPRINT" in environ:
        found["certificate"] = environ["TB_SSL_CLIENT_CERT_FINGERPRINT"]
    elif "HTTP_CLIENT_CERT" in environ:
        found["certificate"] = thumbprint(environ["HTTP_CLIENT_CERT"])
    return found


def thumbprint(client_cert):
    """x5t#S256 (RFC 8705) of the certificate in a Client-Cert field, which is base64 between colons (RFC 9440)."""
    try:
        der = base64.b64decode(client_cert[1:-1])
    except ValueError:
        raise Malformed("Client-Cert") from None
    # The decoder is lenient. There is one right way to write a certificate.
    if not der or client_cert != f":{base64.b64encode(der).decode()}:":
        raise Malformed("Client-Cert")
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


def is_same_client(kept, found):
    """Whether the client proves all that it proved at login. Where it proved nothing then, this holds for everyone."""
    return all(hmac.compare_digest(value, found.get(kind, "")) for kind, value in kept.items())
