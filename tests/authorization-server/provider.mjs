// oidc-provider with mutual TLS (RFC 8705), resource indicators (RFC 8707), JWT access tokens (RFC 9068), introspection
// (RFC 7662) and revocation (RFC 7009), and users who log in by being sent here.

import { X509Certificate, randomBytes, webcrypto } from 'node:crypto';

import Provider from 'oidc-provider';

import { createStore } from './store.mjs';

const ALGORITHMS = [
  ['ES256', { name: 'ECDSA', namedCurve: 'P-256' }],
  ['RS256', {
    name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256',
  }],
];
const SECRET = 'correct-horse-battery-staple';

export class AuthorizationServer {
  #keys = [];

  #cookieKey = randomBytes(32).toString('hex');

  #store = createStore();

  #clients;

  #claims = {};

  #provider;

  #handler;

  static async start(issuer, file) {
    const server = new AuthorizationServer();
    server.issuer = issuer;
    server.#clients = clients(file);
    await server.rotate(false);
    return server;
  }

  handle(request, response) {
    if (request.url.startsWith('/interaction/')) {
      this.#logIn(request, response);
    } else {
      this.#handler(request, response);
    }
  }

  // New keys sign from now on. oidc-provider takes its keys once, so there is a new one on the same store.
  async rotate(keep) {
    const fresh = await Promise.all(ALGORITHMS.map(newKey));
    this.#keys = keep ? [...fresh, ...this.#keys] : fresh;
    this.#provider = new Provider(this.issuer, this.#configuration());
    this.#provider.on('server_error', (_, error) => console.error(error));
    this.#handler = this.#provider.callback();
    return { kids: fresh.map(({ kid }) => kid) };
  }

  // A client that replaces one of the same client_id.
  async register(metadata) {
    await new (this.#store)('Client').upsert(metadata.client_id, metadata);
  }

  // What is said of every user besides.
  claim(claims) {
    this.#claims = claims;
  }

  // Whoever comes is logged in: as the request's login_hint says, or as alice.
  async #logIn(request, response) {
    try {
      const { params } = await this.#provider.interactionDetails(request, response);
      await this.#provider.interactionFinished(request, response, { login: { accountId: params.login_hint ?? 'alice' } });
    } catch (error) {
      response.writeHead(400).end(String(error.stack));
    }
  }

  #configuration() {
    return {
      adapter: this.#store,
      clients: this.#clients,
      jwks: { keys: this.#keys },
      cookies: { keys: [this.#cookieKey] },
      scopes: ['openid', 'offline_access', 'read', 'write', 'admin'],
      claims: { openid: ['sub', 'cnf'], profile: ['name'], email: ['email'] },
      clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'client_secret_jwt',
        'tls_client_auth', 'self_signed_tls_client_auth', 'none'],
      pkce: { required: () => false },
      routes: { jwks: '/jwks', token: '/token', introspection: '/token/introspection', revocation: '/token/revocation' },
      ttl: { ClientCredentials: (context, token) => token.resourceServer?.accessTokenTTL ?? 600 },
      findAccount: (context, accountId) => ({
        accountId,
        claims: () => ({
          sub: accountId, name: `${accountId} of the tests`, email: `${accountId}@as.test`, ...this.#claims,
        }),
      }),
      interactions: { url: (context, { uid }) => `/interaction/${uid}` },
      loadExistingGrant,
      // For tokens that a test wants to look odd.
      extraTokenClaims: (context) => JSON.parse(context.get('Token-Claims') || '{}'),
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        introspection: { enabled: true },
        revocation: { enabled: true },
        mTLS: {
          enabled: true,
          certificateBoundAccessTokens: true,
          selfSignedTlsClientAuth: true,
          tlsClientAuth: true,
          getCertificate: certificate,
          certificateAuthorized: (context) => context.socket.authorized,
          certificateSubjectMatches: (context, property, expected) =>
            property === 'tls_client_auth_subject_dn' && certificate(context).subject === expected,
        },
        resourceIndicators: { enabled: true, defaultResource: () => undefined, getResourceServerInfo: resourceServer },
      },
    };
  }
}

// Any resource is known. How its tokens look is in the request for one: `opaque`, or the algorithm of a JWT.
function resourceServer(context, resource) {
  const format = context.get('Token-Format') || 'ES256';
  const common = {
    audience: resource,
    scope: context.oidc.params.scope ?? '',
    accessTokenTTL: Number(context.get('Token-Lifetime') || 600),
  };
  if (format === 'opaque') {
    return { ...common, accessTokenFormat: 'opaque' };
  }
  return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg: format } } };
}

// Nobody is asked for consent.
async function loadExistingGrant(context) {
  const { client, session, params, provider, resourceServers } = context.oidc;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(params.scope);
  for (const resource of Object.keys(resourceServers ?? {})) {
    grant.addResourceScope(resource, params.scope);
  }
  await grant.save();
  return grant;
}

function certificate(context) {
  const { raw } = context.socket.getPeerCertificate();
  return raw && new X509Certificate(raw);
}

async function newKey([alg, parameters]) {
  const { privateKey } = await webcrypto.subtle.generateKey(parameters, true, ['sign', 'verify']);
  const { key_ops, ext, ...jwk } = await webcrypto.subtle.exportKey('jwk', privateKey);
  return { ...jwk, alg, use: 'sig', kid: randomBytes(8).toString('hex') };
}

// bound and bearer have a secret; ca-signed and self-signed only their certificate (RFC 8705 §2.1 and §2.2).
function clients(file) {
  const selfSigned = new X509Certificate(file('self_signed.pem'));
  const common = {
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    client_secret: SECRET,
    token_endpoint_auth_method: 'client_secret_basic',
    tls_client_certificate_bound_access_tokens: true,
  };
  return [
    { ...common, client_id: 'bound' },
    { ...common, client_id: 'bearer', tls_client_certificate_bound_access_tokens: false },
    { ...common, client_id: 'resource-server', tls_client_certificate_bound_access_tokens: false },
    {
      ...common,
      client_id: 'ca-signed',
      client_secret: undefined,
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: new X509Certificate(file('client_a.pem')).subject,
    },
    {
      ...common,
      client_id: 'self-signed',
      client_secret: undefined,
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [{ ...selfSigned.publicKey.export({ format: 'jwk' }), x5c: [selfSigned.raw.toString('base64')] }] },
    },
  ];
}
