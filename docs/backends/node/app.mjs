// An application with bound login sessions: `node app.mjs --port PORT` serves it on 127.0.0.1.
//
//   --verify          verifies Sec-Token-Binding itself (token_binding.mjs) instead of believing the proxy's ID
//   --certificate F, --key F   https instead of http
//   --proxy F         the proxy's certificate, self-signed: no other client gets a connection
//
// POST /login with user=NAME, POST /logout, GET / says who is logged in. A real application asks for a password.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { parseArgs } from "node:util";

import { isSameClient, Malformed, proved } from "./bound_session.mjs";
import { providedId, Refused } from "./token_binding.mjs";

const COOKIE = "__Host-session";
// One process's memory stands for the session store of your framework.
const sessions = new Map();

const text = { type: "string" };
const { values: options } = parseArgs({
  options: { port: text, verify: { type: "boolean" }, certificate: text, key: text, proxy: text },
});

async function answer(request) {
  const { headers } = request;
  const id = options.verify ? providedId(headers) : headers["sec-provided-token-binding-id"];
  const found = proved(id, headers["client-cert"]);
  const action = `${request.method} ${request.url.split("?")[0]}`;
  if (action === "POST /login") return login(await form(request), found);
  const [sessionId, session] = sessionOf(headers, found);
  if (action === "POST /logout") {
    sessions.delete(sessionId);
    return [200, { user: null }];
  }
  if (action !== "GET /") return [404, { error: "not found" }];
  return session ? [200, session] : [401, { error: "not logged in" }];
}

function login(fields, found) {
  const user = fields.get("user");
  if (!user) return [400, { error: "user is missing" }];
  // A new name for each login, and with it what is proved now.
  const sessionId = randomBytes(32).toString("base64url");
  const session = { user, bound_to: found };
  sessions.set(sessionId, session);
  return [200, session, { "Set-Cookie": `${COOKIE}=${sessionId}; Path=/; Secure; HttpOnly; SameSite=Lax` }];
}

/** The session of the request's cookie. Another client's is none, and stays as it is: its owner may go on. */
function sessionOf(headers, found) {
  const pairs = (headers.cookie ?? "").split(";").map((pair) => pair.trim());
  const sessionId = pairs.find((pair) => pair.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  const session = sessions.get(sessionId);
  return session && isSameClient(session.bound_to, found) ? [sessionId, session] : [];
}

async function form(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    // All of it is read, so that the connection can go on.
    if (length <= 1000) chunks.push(chunk);
  }
  return new URLSearchParams(length <= 1000 ? Buffer.concat(chunks).toString() : "");
}

async function serve(request, response) {
  let [status, body, fields] = [500, { error: "internal error" }];
  try {
    [status, body, fields] = await answer(request);
  } catch (fault) {
    if (fault instanceof Malformed || fault instanceof Refused) [status, body] = [400, { error: fault.message }];
    else console.error(fault);
  }
  // RFC 9440, section 2.4: no cache may give this to another client.
  const caching = { "Cache-Control": "no-store", Vary: "Cookie, Client-Cert" };
  response.writeHead(status, { "Content-Type": "application/json", ...caching, ...fields });
  response.end(JSON.stringify(body));
}

const file = (name) => options[name] && readFileSync(options[name]);
const tls = { cert: file("certificate"), key: file("key"), ca: file("proxy"), requestCert: Boolean(options.proxy) };
const server = options.certificate ? https.createServer(tls, serve) : http.createServer(serve);
server.listen(Number(options.port), "127.0.0.1");
