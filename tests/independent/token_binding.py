"""Token Binding on its own feet: RFC 8471 as a client (or an attacker) writes it.

Nothing here is shared with the Rust crates: another reading of the RFC, another language, other libraries.
"""

import base64
import hashlib
import struct

from ecdsa import NIST256p, SigningKey
from ecdsa.util import sigencode_string
from tlslite.api import generateRSAKey

# RFC 8471 section 6.1
KEY_PARAMETERS = {"rsa2048_pkcs1.5": 0, "rsa2048_pss": 1, "ecdsap256": 2}


def vector(width, octets):
    """A TLS vector (RFC 5246 section 4.3) whose length has `width` octets."""
    return len(octets).to_bytes(width, "big") + bytes(octets)


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


class Key:
    """One private key for one kind of key parameters."""

    def __init__(self, name):
        self.name = name
        self.parameters = KEY_PARAMETERS[name]
        self.elliptic = name == "ecdsap256"
        self.private = SigningKey.generate(curve=NIST256p) if self.elliptic else generateRSAKey(2048)

    def public(self):
        """TokenBindingPublicKey (RFC 8471 section 3.2)."""
        if self.elliptic:
            return vector(1, self.private.get_verifying_key().to_string())
        modulus, exponent = int(self.private.n), int(self.private.e)
        return vector(2, minimal(modulus)) + vector(1, minimal(exponent))

    def identifier(self):
        """TokenBindingID (RFC 8471 section 3.2)."""
        return bytes([self.parameters]) + vector(2, self.public())

    def sign_to_infinity(self, octets):
        """An ECDSA "signature" whose verification meets the point at infinity: r = -e/d. OpenSSL then reports an error,
        neither valid nor invalid, which a careless caller takes for success."""
        order = NIST256p.order
        digest = int.from_bytes(hashlib.sha256(octets).digest(), "big")
        secret = self.private.privkey.secret_multiplier
        r = -digest * pow(secret, -1, order) % order
        return r.to_bytes(32, "big") + (1).to_bytes(32, "big")

    def sign(self, octets, salt_length=32):
        """RFC 8471 section 3.3. `salt_length` concerns rsa2048_pss only; anything but 32 is wrong."""
        if self.elliptic:
            return self.private.sign(octets, hashfunc=hashlib.sha256, sigencode=sigencode_string)
        scheme = "PSS" if self.name == "rsa2048_pss" else "PKCS1"
        return bytes(self.private.hashAndSign(octets, scheme, "sha256", salt_length))


def minimal(number):
    """Big-endian without leading zero octets."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def binding(key, ekm, spec):
    """One TokenBinding structure (RFC 8471 section 3). `spec` says what it claims and what is wrong with it:

    type              0 provided, 1 referred, others unknown; default 0
    signed_type       the type octet that is signed; default: the same
    key_parameters    the octet in the ID; default: the key's
    signed_parameters the octet that is signed; default: the one in the ID
    id                hex: these octets instead of the key's ID
    signature         "flip": one bit wrong; "infinity": see sign_to_infinity; else hex: these octets
    salt_length       for rsa2048_pss; default 32
    extensions        hex: the content of the extensions vector
    """
    kind = spec.get("type", 0)
    identifier = bytes.fromhex(spec["id"]) if "id" in spec else key.identifier()
    if "key_parameters" in spec:
        identifier = bytes([spec["key_parameters"]]) + identifier[1:]
    signed = bytes([spec.get("signed_type", kind), spec.get("signed_parameters", identifier[0])]) + ekm
    signature = key.sign(signed, spec.get("salt_length", 32))
    fault = spec.get("signature")
    if fault == "flip":
        signature = signature[:-1] + bytes([signature[-1] ^ 1])
    elif fault == "infinity":
        signature = key.sign_to_infinity(signed)
    elif fault is not None:
        signature = bytes.fromhex(fault)
    extensions = bytes.fromhex(spec.get("extensions", ""))
    return bytes([kind]) + identifier + vector(2, signature) + vector(2, extensions)


def field_value(bindings, spec):
    """A Sec-Token-Binding value (RFC 8473 section 2). Faults of the whole message:

    length   the length that the message claims
    append   hex: octets after the message
    encoding "padded": with `=`; "standard": the alphabet with `+` and `/`; "unused-bits": not zero, where there are any
    """
    content = b"".join(bindings)
    message = struct.pack(">H", spec.get("length", len(content))) + content + bytes.fromhex(spec.get("append", ""))
    encoding = spec.get("encoding")
    if encoding == "padded":
        return base64.urlsafe_b64encode(message).decode("ascii")
    if encoding == "standard":
        return base64.b64encode(message).rstrip(b"=").decode("ascii")
    value = base64url(message)
    if encoding == "unused-bits":
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        assert len(message) % 3, "this message has no unused bits"
        value = value[:-1] + alphabet[alphabet.index(value[-1]) | 1]
    return value
