// Verifies a forwarded Sec-Token-Binding field for the connection that Token-Binding-Context describes. For backends at
// locations with `TokenBindingPassVar context`. The section numbers are those of RFC 8471 where no other RFC is named.

import { constants, createPublicKey, verify as verifySignature } from "node:crypto";

/** The message or the context is not right: answer 400. Its text says why and holds no part of either. */
export class Refused extends Error {}

const PROVIDED = 0;
const REFERRED = 1;
const RSA2048_PKCS1_5 = 0;
const RSA2048_PSS = 1;
const ECDSAP256 = 2;
/** Each signature costs time, and 64 KiB have room for hundreds. */
const MOST_SIGNATURES = 8;

/** The provided Token Binding ID of a request with Node's `headers`; undefined where it has no message. */
export function providedId(headers) {
  const message = headers["sec-token-binding"];
  return message === undefined ? undefined : verify(message, headers["token-binding-context"] ?? "").provided;
}

/** The verified IDs of a message, in base64url: `provided`, `referred` or undefined, `other` as pairs of type and ID. */
export function verify(message, context) {
  const { keyParameters, ekm } = readContext(context);
  const bindings = readMessage(decode(message, "Sec-Token-Binding"));
  const provided = bindings.filter((binding) => binding.type === PROVIDED);
  // RFC 8473, section 2
  if (provided.length !== 1) refuse("there is not one provided binding");
  if (bindings.filter((binding) => binding.type === REFERRED).length > 1) refuse("there is more than one referred binding");
  // Section 4.2: what was negotiated with the client, and nothing weaker.
  if (provided[0].keyParameters !== keyParameters) refuse("the provided binding has other key parameters than negotiated");
  // Section 3.1: nobody can check key parameters that he does not know. Such bindings establish nothing.
  if (provided[0].key === undefined) refuse("the provided binding has unknown key parameters");
  const known = bindings.filter((binding) => binding.key !== undefined);
  if (known.length > MOST_SIGNATURES) refuse("there are too many bindings");
  // Section 4.2, and all or nothing: one wrong signature spoils the message.
  if (!known.every((binding) => holds(binding, ekm))) refuse("a signature is wrong");
  const id = (binding) => binding?.id.toString("base64url");
  return {
    provided: id(provided[0]),
    referred: id(known.find((binding) => binding.type === REFERRED)),
    other: known.filter(({ type }) => type !== PROVIDED && type !== REFERRED).map((one) => [one.type, id(one)]),
  };
}

/** draft-campbell-tokbind-tls-term, section 2: version (2 octets), key parameters (1), keying material (32). */
function readContext(text) {
  const octets = decode(text, "Token-Binding-Context");
  if (octets.length !== 35) refuse("Token-Binding-Context has not 35 octets");
  if (octets[0] !== 1 || octets[1] !== 0) refuse("Token-Binding-Context is of another version than 1.0");
  return { keyParameters: octets[2], ekm: octets.subarray(3) };
}

/** RFC 8473, section 2: base64url without padding. Whatever is not canonical has no business here. */
function decode(text, name) {
  const octets = Buffer.from(text, "base64url");
  if (octets.length === 0 || octets.toString("base64url") !== text) refuse(`${name} is not base64url`);
  return octets;
}

/** Section 3: TokenBinding tokenbindings<132..2^16-1>. */
function readMessage(octets) {
  const reader = new Reader(octets);
  const list = new Reader(reader.vector(2, 132));
  reader.end();
  const bindings = [];
  while (!list.isEmpty()) bindings.push(readBinding(list));
  return bindings;
}

function readBinding(list) {
  const type = list.uint8();
  const from = list.rest;
  const keyParameters = list.uint8();
  const publicKey = list.vector(2, 0);
  // Section 3.2: the ID is key parameters, key length and key.
  const id = from.subarray(0, from.length - list.rest.length);
  const key = readKey(keyParameters, new Reader(publicKey));
  const signature = list.vector(2, 64);
  // Section 3.4: extensions are passed over, but have to be well-formed.
  const extensions = new Reader(list.vector(2, 0));
  while (!extensions.isEmpty()) {
    extensions.uint8();
    extensions.vector(2, 0);
  }
  return { type, keyParameters, id, key, signature };
}

/** Section 3.2: the parts of a key as members of a JWK; undefined for unknown key parameters. */
function readKey(keyParameters, reader) {
  const text = (octets) => octets.toString("base64url");
  let key;
  if (keyParameters === ECDSAP256) {
    const point = reader.vector(1, 1);
    if (point.length !== 64) refuse("a point has not 64 octets");
    key = { kty: "EC", crv: "P-256", x: text(point.subarray(0, 32)), y: text(point.subarray(32)) };
  } else if (keyParameters === RSA2048_PSS || keyParameters === RSA2048_PKCS1_5) {
    const [modulus, exponent] = [reader.vector(2, 1), reader.vector(1, 1)];
    checkRsa(modulus, exponent);
    key = { kty: "RSA", n: text(modulus), e: text(exponent) };
  } else {
    return undefined;
  }
  reader.end();
  return key;
}

/** Section 3.2: 2048 bits, no leading zeros. Exponents are bounded, for a long one takes a hundred times as long. */
function checkRsa(modulus, exponent) {
  const isOdd = (number) => (number.at(-1) & 1) === 1;
  if (modulus.length !== 256 || modulus[0] < 0x80 || !isOdd(modulus)) refuse("a modulus is not one of 2048 bits");
  const isSound = exponent[0] !== 0 && exponent.length <= 4 && isOdd(exponent);
  if (!isSound || (exponent.length === 1 && exponent[0] === 1)) refuse("an exponent is not sound");
}

/** Section 3.3: the signature is over type, key parameters and keying material, hashed with SHA-256. */
function holds({ type, keyParameters, key: jwk, signature }, ekm) {
  const input = Buffer.concat([Buffer.from([type, keyParameters]), ekm]);
  try {
    // Node makes sure that a point is on the curve, and that R, S and RSA signatures are as long as they must be.
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const scheme = {
      [ECDSAP256]: { dsaEncoding: "ieee-p1363" },
      [RSA2048_PSS]: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
      [RSA2048_PKCS1_5]: { padding: constants.RSA_PKCS1_PADDING },
    }[keyParameters];
    return verifySignature("sha256", input, { key, ...scheme }, signature);
  } catch {
    return false;
  }
}

/** Takes a message apart. Nothing goes past the end, nothing is left over. */
class Reader {
  constructor(octets) {
    this.rest = octets;
  }

  isEmpty() {
    return this.rest.length === 0;
  }

  take(length) {
    if (length > this.rest.length) refuse("a part of the message goes past its end");
    const taken = this.rest.subarray(0, length);
    this.rest = this.rest.subarray(length);
    return taken;
  }

  uint8() {
    return this.take(1)[0];
  }

  /** A vector whose length has `width` octets. */
  vector(width, minimum) {
    const length = this.take(width).readUIntBE(0, width);
    if (length < minimum) refuse("a part of the message is too short");
    return this.take(length);
  }

  end() {
    if (!this.isEmpty()) refuse("a part of the message goes on after its end");
  }
}

function refuse(reason) {
  throw new Refused(reason);
}
