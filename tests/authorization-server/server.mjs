// The authorization server of the integration tests: oidc-provider behind mutual TLS, with switches for a test.
//
//   node server.mjs --certificates FOLDER [--port N] [--control-port N]
//
// FOLDER has ca.pem, server.pem, server.key, client_a.pem and self_signed.pem. Both ports are of 127.0.0.1; 0 is any.
// When it is ready it prints one line of JSON, {"issuer", "port", "control_port"}. It ends when its standard input does.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { control } from './control.mjs';
import { Gate } from './gate.mjs';
import { AuthorizationServer } from './provider.mjs';

const { values } = parseArgs({
  options: {
    certificates: { type: 'string' },
    port: { type: 'string', default: '0' },
    'control-port': { type: 'string', default: '0' },
  },
});
if (!values.certificates) {
  console.error('usage: server.mjs --certificates FOLDER [--port N] [--control-port N]');
  process.exit(2);
}
// Standard output is for the one line; oidc-provider puts its notices there.
console.info = console.error;

const file = (name) => readFileSync(path.join(values.certificates, name));
const listen = (server, port) => new Promise((resolve, reject) => {
  server.once('error', reject);
  server.listen(Number(port), '127.0.0.1', () => resolve(server.address().port));
});

const gate = new Gate();
let authorizationServer;
const tls = {
  key: file('server.key'),
  cert: file('server.pem'),
  ca: file('ca.pem'),
  // RFC 8705 §3: any certificate will do for binding; whether it has to be trusted is the client's authentication method.
  requestCert: true,
  rejectUnauthorized: false,
};
const server = https.createServer(tls, (request, response) => {
  gate.pass(request, response, () => authorizationServer.handle(request, response));
});
const port = await listen(server, values.port);
// The issuer has the port in it, and nobody asks before the line is printed.
authorizationServer = await AuthorizationServer.start(`https://localhost:${port}`, file);
const controls = http.createServer(control(gate, authorizationServer));
const controlPort = await listen(controls, values['control-port']);

process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
console.log(JSON.stringify({ issuer: authorizationServer.issuer, port, control_port: controlPort }));
