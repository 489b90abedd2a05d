#!/usr/bin/env python3
"""Writes own.json: messages, good and hostile, that token-binding must judge as written there.

    python3 make.py > own.json

It shares no code with the crate and uses nothing but Python's integers and hashes, so that a misreading in the crate's
encoder cannot hide a misreading in its parser. Everything is derived from fixed words: the same text comes out each time.
"""
import base64
import hashlib
import itertools
import json

# NIST P-256 (FIPS 186-4 D.1.2.3)
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)

PROVIDED, REFERRED = 0, 1
PKCS, PSS, EC = 0, 1, 2


def words(*name):
    """An endless row of 256-bit numbers that belongs to a name."""
    for i in itertools.count():
        yield int.from_bytes(hashlib.sha256(repr((name, i)).encode()).digest(), "big")


def number(*name):
    return next(words(*name))


def octets(value, length):
    return value.to_bytes(length, "big")


def vector16(value):
    return octets(len(value), 2) + value


def b64(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


EKM = octets(number("ekm"), 32)


def signed(kind, key_parameters, ekm=EKM):
    return bytes([kind, key_parameters]) + ekm


def sha256(value):
    return hashlib.sha256(value).digest()


# --- elliptic curve -----------------------------------------------------------------------------------------------

def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = (3 * a[0] ** 2 - 3) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope**2 - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(k, point=G):
    result = None
    while k:
        if k & 1:
            result = add(result, point)
        point, k = add(point, point), k >> 1
    return result


class EcKey:
    def __init__(self, d):
        self.d, self.point = d, multiply(d)

    def id(self):
        return ec_id(octets(self.point[0], 32) + octets(self.point[1], 32))

    def rs(self, message, nonce=None):
        e, k = int.from_bytes(sha256(message), "big"), nonce or number("nonce", self.d, message) % N
        r = multiply(k)[0] % N
        return r, pow(k, -1, N) * (e + r * self.d) % N

    def sign(self, message, nonce=None):
        return raw(*self.rs(message, nonce))


def raw(r, s):
    return octets(r, 32) + octets(s, 32)


def ec_id(point, key_parameters=EC):
    return bytes([key_parameters]) + vector16(bytes([len(point)]) + point)


def search(condition, *name):
    return next(candidate for word in words(*name) if condition(candidate := word % N))


# --- RSA ----------------------------------------------------------------------------------------------------------

def is_prime(n):
    if any(n % p == 0 for p in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
        return False
    s = ((n - 1) & -(n - 1)).bit_length() - 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19):
        x = pow(base, (n - 1) >> s, n)
        if x not in (1, n - 1) and all((x := x * x % n) != n - 1 for _ in range(s - 1)):
            return False
    return True


def prime(bits, e, *name):
    source = words("prime", bits, *name)
    start = sum(next(source) << (256 * i) for i in range(bits // 256)) | 3 << (bits - 2) | 1
    return next(n for n in itertools.count(start, 2) if (n - 1) % e and is_prime(n))


class RsaKey:
    def __init__(self, *name, e=65537, bits=2048):
        p, q = prime(bits // 2, e, "p", *name), prime(bits // 2, e, "q", *name)
        self.n, self.e, self.d = p * q, e, pow(e, -1, (p - 1) * (q - 1))
        self.length = bits // 8

    def id(self, key_parameters):
        return rsa_id(key_parameters, octets(self.n, self.length), octets(self.e, (self.e.bit_length() + 7) // 8))

    def power(self, encoded):
        return octets(pow(int.from_bytes(encoded, "big"), self.d, self.n), self.length)

    def pkcs(self, message, **how):
        return self.power(pkcs_encoded(message, self.length, **how))

    def pss(self, message, salt_length=32, mgf_hash="sha256"):
        return self.power(pss_encoded(message, self.length, salt_length, mgf_hash))

    def sign(self, kind, key_parameters):
        message = signed(kind, key_parameters)
        return self.pss(message) if key_parameters == PSS else self.pkcs(message)


def rsa_id(key_parameters, modulus, exponent):
    return bytes([key_parameters]) + vector16(vector16(modulus) + bytes([len(exponent)]) + exponent)


SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SHA256_INFO_NO_NULL = bytes.fromhex("302f300b0609608648016503040201" + "0420")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


def pkcs_encoded(message, length, info=SHA256_INFO, name="sha256"):
    tail = info + hashlib.new(name, message).digest()
    return b"\0\1" + b"\xff" * (length - 3 - len(tail)) + b"\0" + tail


def pss_encoded(message, length, salt_length, mgf_hash):
    salt = (octets(number("salt", message), 32) * 10)[:salt_length]
    h = sha256(bytes(8) + sha256(message) + salt)
    data = bytes(length - salt_length - 34) + b"\1" + salt
    mask = b"".join(hashlib.new(mgf_hash, h + octets(i, 4)).digest() for i in range(20))[:len(data)]
    masked = bytes(a ^ b for a, b in zip(data, mask))
    return bytes([masked[0] & 0x7F]) + masked[1:] + h + b"\xbc"


def cube_root_up(value):
    low, high = 0, 1 << (value.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


# --- messages -----------------------------------------------------------------------------------------------------

def binding(kind, ident, signature, extensions=b""):
    return bytes([kind]) + ident + vector16(signature) + vector16(extensions)


def ec(kind, key, extensions=b"", **how):
    return binding(kind, key.id(), key.sign(signed(kind, EC), **how), extensions)


def rsa(kind, key, key_parameters):
    return binding(kind, key.id(key_parameters), key.sign(kind, key_parameters))


def unknown(kind, key, key_parameters=99):
    return binding(kind, ec_id(b"\7" * 64, key_parameters), key.sign(signed(kind, key_parameters)))


ALL = []


def vector(name, value, outcome, reason=None, negotiated=EC, ekm=EKM, **ids):
    """outcome: "accept", or the label of the rejection; reason: its words."""
    if isinstance(value, bytes):
        value = b64(value)
    ALL.append({"id": name, "sec_token_binding": value, "ekm_b64u": b64(ekm), "negotiated_key_parameters": negotiated,
                "outcome": outcome, **({"reason": reason} if reason else {}), **ids})


def good(name, *bindings, provided, referred=None, other=(), negotiated=EC):
    vector(name, vector16(b"".join(bindings)), "accept", negotiated=negotiated, provided_b64u=b64(provided),
           referred_b64u=referred and b64(referred), other=[[kind, b64(ident)] for kind, ident in other])


def bad(name, outcome, reason, *bindings, negotiated=EC, **how):
    vector(name, vector16(b"".join(bindings)), outcome, reason, negotiated, **how)


one, two = EcKey(number("ec one") % N), EcKey(number("ec two") % N)
rsa_one, rsa_three = RsaKey("rsa one"), RsaKey("rsa three", e=3)
rsa_long = RsaKey("rsa long", e=2**32 - 5)
provided = ec(PROVIDED, one)


def accepted():
    good("ec", provided, provided=one.id())
    for name, key_parameters in (("pkcs1.5", PKCS), ("pss", PSS)):
        ident = rsa_one.id(key_parameters)
        good(f"rsa-{name}", rsa(PROVIDED, rsa_one, key_parameters), provided=ident, negotiated=key_parameters)
        good(f"ec-and-referred-rsa-{name}", provided, rsa(REFERRED, rsa_one, key_parameters), provided=one.id(),
             referred=ident)
    good("rsa-exponent-3", rsa(PROVIDED, rsa_three, PSS), provided=rsa_three.id(PSS), negotiated=PSS)
    good("rsa-exponent-of-4-octets", rsa(PROVIDED, rsa_long, PSS), provided=rsa_long.id(PSS), negotiated=PSS)
    good("referred-before-provided", ec(REFERRED, two), provided, provided=one.id(), referred=two.id())
    good("same-key-provided-and-referred", provided, ec(REFERRED, one), provided=one.id(), referred=one.id())
    for axis, name in enumerate(("x", "y")):
        key = EcKey(search(lambda d: multiply(d)[axis] >> 248 == 0, "leading zero", name))
        good(f"ec-leading-zero-{name}", ec(PROVIDED, key), provided=key.id())
        nonce = search(lambda k: one.rs(signed(PROVIDED, EC), k)[axis] >> 248 == 0, "nonce", name)
        good(f"ecdsa-leading-zero-{'rs'[axis]}", ec(PROVIDED, one, nonce=nonce), provided=one.id())
    r, s = one.rs(signed(PROVIDED, EC))
    good("ecdsa-the-other-s", binding(PROVIDED, one.id(), raw(r, N - s)), provided=one.id())
    extensions = b"\0" + vector16(b"") + b"\xff" + vector16(b"anything")
    good("unknown-extensions", ec(PROVIDED, one, extensions), provided=one.id())
    good("unknown-types", provided, ec(77, two), ec(11, one), provided=one.id(),
         other=[(77, two.id()), (11, one.id())])
    good("unknown-type-twice", provided, ec(77, two), ec(77, two), provided=one.id(),
         other=[(77, two.id()), (77, two.id())])
    good("referred-with-unknown-key-parameters", provided, unknown(REFERRED, two), provided=one.id())
    good("unknown-type-with-unknown-key-parameters", provided, unknown(77, two), provided=one.id())
    eight = [ec(kind, two) for kind in range(2, 9)]
    ids = [(kind, two.id()) for kind in range(2, 9)]
    good("eight-signatures", provided, *eight, provided=one.id(), other=ids)
    good("eight-signatures-and-three-unknown", provided, *[unknown(77, two)] * 3, *eight, provided=one.id(), other=ids)


def field_values():
    value = b64(vector16(provided))
    vector("empty-field", "", "empty-field")
    for name, text in (("comma-blank", f"{value}, {value}"), ("comma", f"{value},{value}"),
                       ("blank", f"{value} {value}"), ("trailing-comma", f"{value},"), ("only-comma", ",")):
        vector(f"two-fields-{name}", text, "duplicate-field")
    for name, text in (("padding", f"{value}="), ("paddings", f"{value}=="), ("line-feed", f"{value}\n"),
                       ("tab", f"\t{value}"), ("plus", "+" + value[1:]), ("slash", "/" + value[1:]),
                       ("unused-bits", value[:-1] + "B"), ("one-too-many", f"{value}AAA"), ("nul", f"{value}\0"),
                       ("quoted", f'"{value}"')):
        vector(f"base64url-{name}", text, "invalid-base64url")


def framing():
    def malformed(name, reason, message, negotiated=EC):
        vector(name, message, "malformed", f"malformed token binding message: {reason}", negotiated)

    point, signature = one.id()[4:], one.sign(signed(PROVIDED, EC))
    malformed("no-octets-of-length", "tokenbindings goes past the end of what encloses it", b"\0")
    malformed("no-binding", "tokenbindings has 0 octets, at least 132 are needed", vector16(b""))
    malformed("131-octets", "tokenbindings has 131 octets, at least 132 are needed", vector16(provided[:131]))
    malformed("message-trailing", "1 octets follow the tokenbindings", vector16(provided) + b"\0")
    malformed("message-twice", "139 octets follow the tokenbindings", vector16(provided) * 2)
    malformed("message-length-too-large", "tokenbindings goes past the end of what encloses it",
              octets(len(provided) + 1, 2) + provided)
    malformed("message-length-too-small", "extensions goes past the end of what encloses it",
              octets(len(provided) - 1, 2) + provided[:-1])
    malformed("binding-trailing", "key_parameters goes past the end of what encloses it", vector16(provided + b"\0"))
    malformed("key-trailing", "1 octets follow the point",
              vector16(binding(PROVIDED, bytes([EC]) + vector16(b"\x40" + point + b"\0"), signature)))
    malformed("point-too-long-for-key", "point goes past the end of what encloses it",
              vector16(binding(PROVIDED, bytes([EC]) + vector16(b"\x41" + point), signature)))
    malformed("empty-point", "point has 0 octets, at least 1 are needed",
              vector16(binding(PROVIDED, bytes([EC]) + vector16(b"\0"), signature + point)))
    malformed("empty-key", "point goes past the end of what encloses it",
              vector16(binding(PROVIDED, bytes([EC]) + vector16(b""), signature + point)))
    inner = rsa_one.id(PSS)[3:]
    for name, reason, key in (
            ("rsa-key-trailing", "1 octets follow the publicexponent", inner + b"\0"),
            ("rsa-exponent-too-long-for-key", "publicexponent goes past the end of what encloses it", inner[:-1]),
            ("rsa-modulus-too-long-for-key", "modulus goes past the end of what encloses it", inner[:200]),
            ("rsa-empty-modulus", "modulus has 0 octets, at least 1 are needed", b"\0\0" + inner[-4:]),
            ("rsa-empty-exponent", "publicexponent has 0 octets, at least 1 are needed", inner[:258] + b"\0")):
        message = binding(PROVIDED, bytes([PSS]) + vector16(key), rsa_one.sign(PROVIDED, PSS))
        malformed(name, reason, vector16(message), PSS)
    malformed("signature-of-63-octets", "signature has 63 octets, at least 64 are needed",
              vector16(binding(PROVIDED, one.id(), signature[:63]) + b"\0"))
    for name, reason, extensions in (
            ("no-length", "extension_data goes past the end of what encloses it", b"\7"),
            ("half-a-length", "extension_data goes past the end of what encloses it", b"\7\0"),
            ("too-long", "extension_data goes past the end of what encloses it", b"\7\0\2a"),
            ("second-one", "extension_data goes past the end of what encloses it", b"\7\0\1a\7")):
        malformed(f"extension-{name}", reason, vector16(ec(PROVIDED, one, extensions)))


def numbers():
    bad("two-provided", "several-provided", None, provided, ec(PROVIDED, two))
    bad("provided-twice-the-same", "several-provided", None, provided, provided)
    bad("two-provided-one-unknown", "several-provided", None, provided, unknown(PROVIDED, two))
    bad("two-referred", "several-referred", None, provided, ec(REFERRED, one), ec(REFERRED, two))
    bad("two-referred-one-unknown", "several-referred", None, provided, ec(REFERRED, two), unknown(REFERRED, two))
    bad("only-referred", "no-provided", None, ec(REFERRED, one))
    bad("only-unknown-type", "no-provided", None, ec(77, one))
    bad("provided-with-unknown-key-parameters", "key-parameters-mismatch",
        "provided token binding has key parameters 99, negotiated was ecdsap256", unknown(PROVIDED, one))
    bad("provided-with-other-key-parameters", "key-parameters-mismatch",
        "provided token binding has key parameters 0, negotiated was rsa2048_pss", rsa(PROVIDED, rsa_one, PKCS),
        negotiated=PSS)
    bad("provided-rsa-instead-of-ec", "key-parameters-mismatch", None, rsa(PROVIDED, rsa_one, PSS))
    nine = [ec(kind, two) for kind in range(2, 10)]
    bad("nine-signatures", "too-many-bindings", None, provided, *nine)
    bad("nine-signatures-the-ninth-provided", "too-many-bindings", None, *nine, provided)
    bad("four-hundred-bindings", "too-many-bindings", None, provided, *[ec(77, two)] * 400)


def swaps():
    def invalid(name, *bindings, **how):
        bad(name, "invalid-signature", "invalid signature", *bindings, **how)

    invalid("other-connection", provided, ekm=octets(number("other ekm"), 32))
    invalid("referred-shown-as-provided", binding(PROVIDED, one.id(), one.sign(signed(REFERRED, EC))))
    invalid("provided-shown-as-referred", provided, binding(REFERRED, one.id(), one.sign(signed(PROVIDED, EC))))
    invalid("other-shown-as-provided", binding(PROVIDED, one.id(), one.sign(signed(77, EC))))
    invalid("unknown-type-invalid", provided, binding(77, two.id(), two.sign(signed(78, EC))))
    invalid("other-key-parameters-signed", binding(PROVIDED, one.id(), one.sign(signed(PROVIDED, PSS))))
    invalid("key-of-another", binding(PROVIDED, one.id(), two.sign(signed(PROVIDED, EC))))
    invalid("only-ekm-signed", binding(PROVIDED, one.id(), one.sign(EKM)))
    eight = [ec(kind, two) for kind in range(2, 8)] + [binding(9, two.id(), one.sign(signed(9, EC)))]
    invalid("the-eighth-is-invalid", provided, *eight)
    for name, key_parameters in (("pkcs1.5-shown-as-pss", PSS), ("pss-shown-as-pkcs1.5", PKCS)):
        message = signed(PROVIDED, key_parameters)
        signature = rsa_one.pkcs(message) if key_parameters == PSS else rsa_one.pss(message)
        invalid(name, binding(PROVIDED, rsa_one.id(key_parameters), signature), negotiated=key_parameters)


def ecdsa():
    def invalid(name, signature, key=one):
        bad(f"ecdsa-{name}", "invalid-signature", "invalid signature", binding(PROVIDED, key.id(), signature))

    message = signed(PROVIDED, EC)
    e, (r, s) = int.from_bytes(sha256(message), "big"), one.rs(message)
    for name, pair in (("zeros", (0, 0)), ("r-zero", (0, s)), ("s-zero", (r, 0)), ("r-order", (N, s)),
                       ("s-order", (r, N)), ("r-and-s-order", (N, N)), ("all-ones", (2**256 - 1, 2**256 - 1)),
                       ("swapped", (s, r))):
        invalid(name, raw(*pair))
    # u1 G + u2 Q = (e + r d) / s G is the point at infinity: many libraries answer with -1, which is "true" in C
    invalid("point-at-infinity", raw(-e * pow(one.d, -1, N) % N, s))
    # A key for which a small s is valid, and then s + n, which only differs by the group order
    nonce = number("small s") % N
    key_r = multiply(nonce)[0] % N
    small = EcKey((5 * nonce - e) * pow(key_r, -1, N) % N)
    good("ecdsa-small-s", binding(PROVIDED, small.id(), raw(key_r, 5)), provided=small.id())
    invalid("small-s-plus-order", raw(key_r, 5 + N), small)
    der = [b"\2" + bytes([len(v)]) + v for v in (octets(v, v.bit_length() // 8 + 1) for v in (r, s))]
    invalid("der", b"\x30" + bytes([sum(map(len, der))]) + b"".join(der))
    invalid("65-octets", raw(r, s) + b"\0")

    def key(name, reason, point):
        bad(f"ec-{name}", "invalid-key", f"invalid public key: {reason}",
            # the extension keeps a message with a short key above the least length
            binding(PROVIDED, ec_id(point), raw(r, s), b"\0" + vector16(bytes(64))))

    x, y = one.point
    off = "point is not on the curve P-256"
    key("off-curve", off, raw(x, y ^ 1))
    key("zeros", off, raw(0, 0))
    key("all-ones", off, raw(2**256 - 1, 2**256 - 1))
    near = next((x, y) for x in itertools.count(5) if (y := pow(x**3 - 3 * x + B, (P + 1) // 4, P)) and
                (y * y - x**3 + 3 * x - B) % P == 0)
    key("x-not-reduced", off, raw(near[0] + P, near[1]))
    key("with-prefix", "point has 65 octets instead of 64", b"\4" + raw(x, y))
    key("compressed", "point has 33 octets instead of 64", bytes([2 + y % 2]) + octets(x, 32))
    key("infinity", "point has 1 octets instead of 64", b"\0")
    bad("ec-off-curve-referred", "invalid-key", f"invalid public key: {off}", provided,
        binding(REFERRED, ec_id(raw(x, y ^ 1)), two.sign(signed(REFERRED, EC))))


def rsa_keys():
    def key(name, reason, modulus, exponent, signature=None):
        for key_parameters in (PKCS, PSS):
            good_one = rsa_one.sign(PROVIDED, key_parameters)
            made = signature(signed(PROVIDED, key_parameters), key_parameters) if signature else good_one
            bad(f"rsa-{name}-{key_parameters}", "invalid-key", f"invalid public key: {reason}",
                binding(PROVIDED, rsa_id(key_parameters, modulus, exponent), made), negotiated=key_parameters)

    def encoded(message, key_parameters):
        return pss_encoded(message, 256, 32, "sha256") if key_parameters == PSS else pkcs_encoded(message, 256)

    modulus, f4 = octets(rsa_one.n, 256), b"\1\0\1"
    key("modulus-leading-zero", "modulus has 257 octets instead of 256", b"\0" + modulus, f4)
    key("modulus-first-bit-clear", "modulus has less than 2048 bits", bytes([modulus[0] & 0x7F]) + modulus[1:], f4)
    key("modulus-even", "modulus is even", modulus[:-1] + bytes([modulus[-1] & 0xFE]), f4)
    small, large = RsaKey("rsa 1024", bits=1024), RsaKey("rsa 3072", bits=3072)
    for name, other in (("1024", small), ("3072", large)):
        key(f"modulus-{name}", f"modulus has {other.length} octets instead of 256", octets(other.n, other.length), f4,
            lambda message, how, other=other: other.pss(message) if how == PSS else other.pkcs(message))
    key("exponent-leading-zero", "public exponent begins with a zero octet", modulus, b"\0" + f4)
    key("exponent-zero", "public exponent begins with a zero octet", modulus, b"\0")
    # With exponent 1 the padded message is its own signature, and anyone can write it down
    key("exponent-one", "public exponent is not an odd number of at least 3", modulus, b"\1", encoded)
    key("exponent-two", "public exponent is not an odd number of at least 3", modulus, b"\2")
    key("exponent-even", "public exponent is not an odd number of at least 3", modulus, b"\1\0\0")
    wide = RsaKey("rsa wide", e=2**32 + 15)
    key("exponent-of-5-octets", "public exponent has 5 octets, at most 4 are accepted", octets(wide.n, 256),
        octets(wide.e, 5), lambda message, how: wide.pss(message) if how == PSS else wide.pkcs(message))


def rsa_signatures():
    def invalid(name, signature, key_parameters, key=rsa_one):
        bad(f"rsa-{name}", "invalid-signature", "invalid signature",
            binding(PROVIDED, key.id(key_parameters), signature), negotiated=key_parameters)

    message = signed(PROVIDED, PSS)
    for salt_length in (0, 20, 31, 33, 222):
        invalid(f"pss-salt-of-{salt_length}", rsa_one.pss(message, salt_length), PSS)
    invalid("pss-mgf1-sha1", rsa_one.pss(message, mgf_hash="sha1"), PSS)
    message = signed(PROVIDED, PKCS)
    invalid("pkcs1.5-sha1", rsa_one.pkcs(message, info=SHA1_INFO, name="sha1"), PKCS)
    invalid("pkcs1.5-without-null", rsa_one.pkcs(message, info=SHA256_INFO_NO_NULL), PKCS)
    invalid("pkcs1.5-without-digest-info", rsa_one.pkcs(message, info=b""), PKCS)
    # Bleichenbacher's forgery: short padding, the rest left to the cube root
    start = b"\0\1" + b"\xff" * 8 + b"\0" + SHA256_INFO + sha256(message)
    root = cube_root_up(int.from_bytes(start + bytes(256 - len(start)), "big"))
    assert octets(root**3, 256).startswith(start)
    invalid("pkcs1.5-cube-root", octets(root, 256), PKCS, rsa_three)
    for name, key_parameters in (("pkcs1.5", PKCS), ("pss", PSS)):
        signature = rsa_one.sign(PROVIDED, key_parameters)
        invalid(f"{name}-zero", bytes(256), key_parameters)
        invalid(f"{name}-one", octets(1, 256), key_parameters)
        invalid(f"{name}-modulus", octets(rsa_one.n, 256), key_parameters)
        invalid(f"{name}-257-octets", b"\0" + signature, key_parameters)
        invalid(f"{name}-trailing-octet", signature + b"\0", key_parameters)
        invalid(f"{name}-255-octets", signature[:-1], key_parameters)
        # The same residue, not reduced, by a key whose modulus leaves room for it
        low = next(k for i in itertools.count() if (k := RsaKey("low", i)).n >> 2044 == 9)
        value = int.from_bytes(low.sign(PROVIDED, key_parameters), "big")
        if value + low.n < 2**2048:
            invalid(f"{name}-not-reduced", octets(value + low.n, 256), key_parameters, low)


for part in (accepted, field_values, framing, numbers, swaps, ecdsa, rsa_keys, rsa_signatures):
    part()
print(json.dumps({"note": "made by make.py", "messages": ALL}, indent=1))
