// Binds a login session to what its client proves to httpd. These are the lines to take into your application.

import { createHash, timingSafeEqual } from "node:crypto";

/** A header that no server with mod_token_binding sends: answer 400. */
export class Malformed extends Error {}

/**
 * What the client of a request has proved: `token-binding` and `certificate`, each only where there is one.
 * `id` is the field sec-provided-token-binding-id, or what token_binding.mjs has verified; `clientCert` is client-cert.
 */
export function proved(id, clientCert) {
  const found = {};
  if (id !== undefined) {
    if (!/^[A-Za-z0-9_-]+$/.test(id)) throw new Malformed("malformed Sec-Provided-Token-Binding-ID");
    found["token-binding"] = id;
  }
  if (clientCert !== undefined) found.certificate = thumbprint(clientCert);
  return found;
}

/** x5t#S256 (RFC 8705) of the certificate in a Client-Cert field, which is base64 between colons (RFC 9440). */
function thumbprint(clientCert) {
  const der = Buffer.from(clientCert.slice(1, -1), "base64");
  // The decoder is lenient. There is one right way to write a certificate.
  if (der.length === 0 || clientCert !== `:${der.toString("base64")}:`) throw new Malformed("malformed Client-Cert");
  return createHash("sha256").update(der).digest("base64url");
}

/** Whether the client proves all that it proved at login. Where it proved nothing then, this holds for everyone. */
export function isSameClient(kept, found) {
  return Object.entries(kept).every(([kind, value]) => isEqual(value, found[kind] ?? ""));
}

function isEqual(one, other) {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
