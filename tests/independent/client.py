"""A Token Binding client on tlslite-ng, driven by one JSON command per line of standard input.

Each command is answered by one line of JSON; `{"error": ...}` says that the command itself was wrong. Commands:

{"do": "key", "name": N, "parameters": "ecdsap256"}              -> {"id": base64url, "tbh": base64url}
{"do": "connect", "name": N, "port": P, ...}                     -> a handshake's result, see `connect`
{"do": "message", "connection": N, "bindings": [...], ...}       -> {"value": Sec-Token-Binding}, see token_binding.py
{"do": "exchange", "connection": N, "head": "GET / ...\\r\\n\\r\\n"} -> {"status", "headers": [[name, value]], "body"}
{"do": "streams", "connection": N, "requests": [...]}            -> {"answers": [...]}, HTTP/2, see http2.py
{"do": "close", "connection": N}                                 -> {}

Keys and connections are kept by name. A binding names its `key`, and may name in `connection` another connection whose
keying material it signs, or give it in hex as `ekm`; `identity` names another key, whose ID it claims.
"""

import hashlib
import json
import os
import socket
import sys

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import CipherSuite, ExtensionType, HandshakeType
from tlslite.errors import TLSError, TLSLocalAlert, TLSRemoteAlert
from tlslite.extensions import TLSExtension
from tlslite.handshakehelpers import HandshakeHelpers
from tlslite.mathtls import derive_secret
from tlslite.messages import ClientHello, EncryptedExtensions, ServerHello
from tlslite.tlsconnection import AlertDescription

import token_binding
from http2 import Http2

TOKEN_BINDING = 24  # RFC 8472 section 5
EARLY_DATA = 42  # RFC 8446 section 4.2
RENEGOTIATION_INFO = 0xFF01  # RFC 5746 section 3.2
VERSIONS = {"1.2": (3, 3), "1.3": (3, 4)}


class Connection(TLSConnection):
    """tlslite's connection with our own ClientHello, and eyes for the server's extensions."""

    def __init__(self, sock, options, offered_session):
        super().__init__(sock)
        self.ignoreAbruptClose = True
        self.options = options
        self.offered_session = offered_session
        self.offered = []
        self.received = {}
        self.finished_hashes = None

    def _sendMsg(self, msg, *args, **kwargs):
        if isinstance(msg, ClientHello) and not self.offered:
            self.prepare(msg)
        return super()._sendMsg(msg, *args, **kwargs)

    def prepare(self, hello):
        """Puts into the ClientHello what the command asks for, and leaves out what it wants left out."""
        options = self.options
        if options.get("renegotiation", "scsv") != "scsv":
            hello.cipher_suites.remove(CipherSuite.TLS_EMPTY_RENEGOTIATION_INFO_SCSV)
        # pre_shared_key has to stay the last one (RFC 8446 section 4.2.11).
        last = hello.extensions.pop() if self.presents_psk(hello) else None
        if options.get("renegotiation") == "extension":
            hello.extensions.append(TLSExtension(extType=RENEGOTIATION_INFO).create(bytearray(1)))
        for offer in options.get("offers", [options["offer"]] if options.get("offer") is not None else []):
            hello.extensions.append(TLSExtension(extType=TOKEN_BINDING).create(bytearray.fromhex(offer)))
        if options.get("early_data"):
            hello.extensions.append(TLSExtension(extType=EARLY_DATA).create(bytearray()))
        if not options.get("tickets", True):
            hello.extensions = [one for one in hello.extensions if one.extType != ExtensionType.session_ticket]
        if last:
            hello.extensions.append(last)
            session = self.offered_session
            HandshakeHelpers.update_binders(
                hello, self._handshake_hash, [], session.tickets, session.resumptionMasterSecret
            )
        self.offered = [extension.extType for extension in hello.extensions]

    @staticmethod
    def presents_psk(hello):
        return bool(hello.extensions) and hello.extensions[-1].extType == ExtensionType.pre_shared_key

    def _getMsg(self, expectedType, secondaryType=None, constructorType=None):
        message = None
        for message in super()._getMsg(expectedType, secondaryType, constructorType):
            if message in (0, 1):
                yield message
            else:
                break
        if isinstance(message, ServerHello):
            self.note("ServerHello", message.extensions)
        elif isinstance(message, EncryptedExtensions):
            self.note("EncryptedExtensions", message.extensions)
        elif secondaryType == HandshakeType.finished and self.finished_hashes is None:
            self.finished_hashes = self._handshake_hash.copy()
        yield message

    def note(self, where, extensions):
        self.received[where] = {one.extType: bytes(one.extData).hex() for one in extensions or []}

    def keying_material(self):
        """RFC 8471 section 3.3: 32 octets of exporter output, without a context."""
        if self.version == (3, 4):
            # RFC 8446 section 7.1: the transcript up to the server's Finished. tlslite's own value covers a client
            # certificate as well.
            prf = "sha384" if self.session.cipherSuite in CipherSuite.sha384PrfSuites else "sha256"
            self.session.exporterMasterSecret = derive_secret(
                self.session.masterSecret, bytearray(b"exp master"), self.finished_hashes, prf
            )
        return bytes(self.keyingMaterialExporter(bytearray(b"EXPORTER-Token-Binding"), 32))

    def result(self):
        """What the handshake came to."""
        replies = [(where, found[TOKEN_BINDING]) for where, found in self.received.items() if TOKEN_BINDING in found]
        return {
            "version": next(name for name, version in VERSIONS.items() if version == self.version),
            "resumed": self.resumed,
            "extended_master_secret": bool(self.extendedMasterSecret),
            "token_binding": replies[0][1] if replies else None,
            "token_binding_in": replies[0][0] if replies else None,
            "early_data": any(EARLY_DATA in found for found in self.received.values()),
            "ekm": self.keying_material().hex(),
        }


class Client:
    def __init__(self):
        self.keys = {}
        self.connections = {}
        self.http2 = {}

    def key(self, command):
        key = token_binding.Key(command["parameters"])
        self.keys[command["name"]] = key
        identifier = key.identifier()
        digest = hashlib.sha256(identifier).digest()
        return {"id": token_binding.base64url(identifier), "tbh": token_binding.base64url(digest)}

    def connect(self, command):
        """Options beside `port`: `tls` "1.2" or "1.3", `sni`, `offer` (hex of the extension's data) or `offers` (several
        extensions), `ems` false, `renegotiation` "scsv", "extension" or "none", `certificate` and `private_key` (PEM
        files), `alpn` "h2", `resume` (a connection whose session is offered), `tickets` false, `early_data`, `key_shares` (groups)."""
        version = VERSIONS[command.get("tls", "1.2")]
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = version
        settings.versions = [version]
        settings.eccCurves = ["secp256r1", "x25519", "secp384r1"]  # its own list holds some that TLS 1.3 forbids
        settings.useExtendedMasterSecret = command.get("ems", True)
        settings.keyShares = command.get("key_shares", ["secp256r1"])
        # It would compress its certificate for servers that never said they can read that.
        settings.certificate_compression_send = settings.certificate_compression_receive = []
        former = self.connections[command["resume"]].session if "resume" in command else None
        seconds = 15 * int(os.environ.get("TEST_PATIENCE", "1"))  # as patience() in tests/common
        sock = socket.create_connection((command.get("host", "127.0.0.1"), command["port"]), timeout=seconds)
        connection = Connection(sock, command, former)
        alpn = [command["alpn"].encode("ascii")] if "alpn" in command else None
        name = command.get("sni", "localhost")
        if former:
            former.serverName = name  # tlslite would not offer a session to another name; the tests do
        try:
            connection.handshakeClientCert(
                *client_certificate(command), session=former, settings=settings, serverName=name, alpn=alpn
            )
        except (TLSRemoteAlert, TLSLocalAlert) as alert:
            sock.close()
            side = "server" if isinstance(alert, TLSRemoteAlert) else "client"
            return {"alert": AlertDescription.toStr(alert.description), "alert_by": side, "detail": str(alert)}
        except (TLSError, OSError) as error:
            sock.close()
            return {"alert": None, "alert_by": None, "detail": repr(error)}
        self.connections[command["name"]] = connection
        self.http2.pop(command["name"], None)
        return connection.result()

    def message(self, command):
        bindings = []
        for spec in command["bindings"]:
            if "identity" in spec:
                spec = {**spec, "id": self.keys[spec["identity"]].identifier().hex()}
            if "ekm" in spec:
                ekm = bytes.fromhex(spec["ekm"])
            else:
                ekm = self.connections[spec.get("connection", command.get("connection"))].keying_material()
            bindings.append(token_binding.binding(self.keys[spec["key"]], ekm, spec))
        return {"value": token_binding.field_value(bindings, command)}

    def exchange(self, command):
        connection = self.connections[command["connection"]]
        connection.write(command["head"].encode("latin-1"))
        return read_response(connection)

    def streams(self, command):
        name = command["connection"]
        if name not in self.http2:
            self.http2[name] = Http2(self.connections[name])
        return {"answers": self.http2[name].exchange(command["requests"], command.get("authority", "localhost"))}

    def close(self, command):
        self.http2.pop(command["connection"], None)
        connection = self.connections.pop(command["connection"])
        connection.close()
        connection.sock.close()
        return {}

    def run(self, command):
        actions = {
            "key": self.key,
            "connect": self.connect,
            "message": self.message,
            "exchange": self.exchange,
            "streams": self.streams,
            "close": self.close,
        }
        return actions[command["do"]](command)


def client_certificate(command):
    """The chain and key that handshakeClientCert takes; nothing where the command names none."""
    if "certificate" not in command:
        return ()
    chain = X509CertChain()
    with open(command["certificate"], encoding="ascii") as file:
        chain.parsePemList(file.read())
    with open(command["private_key"], encoding="ascii") as file:
        return chain, parsePEMKey(file.read(), private=True)


def read_response(connection):
    """One HTTP/1.1 response (RFC 9112); `closed` where the connection ended instead."""
    octets = b""

    def more():
        nonlocal octets
        part = bytes(connection.read(max=65536))
        octets += part
        return bool(part)

    while b"\r\n\r\n" not in octets:
        if not more():
            return {"closed": True, "received": octets.decode("latin-1")}
    head, _, octets = octets.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [[part.strip() for part in line.split(":", 1)] for line in lines[1:]]
    fields = {name.lower(): value for name, value in headers}
    body = b""
    if fields.get("transfer-encoding") == "chunked":
        size = None
        while size != 0:
            while b"\r\n" not in octets:
                assert more(), "the connection ended inside a chunk's size"
            line, _, octets = octets.partition(b"\r\n")
            size = int(line, 16)
            while len(octets) < size + 2:
                assert more(), "the connection ended inside a chunk"
            body, octets = body + octets[:size], octets[size + 2 :]
    elif "content-length" in fields:
        while len(octets) < int(fields["content-length"]):
            assert more(), "the connection ended inside the body"
        body = octets
    else:
        while more():
            pass
        body = octets
    return {"status": int(lines[0].split(" ")[1]), "headers": headers, "body": body.decode("latin-1")}


def main():
    client = Client()
    for line in sys.stdin:
        try:
            answer = client.run(json.loads(line))
        except Exception as error:  # the test is told and decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
