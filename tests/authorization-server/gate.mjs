// What stands before the authorization server: it counts the requests of each endpoint, and lets them wait or fail.

const ENDPOINTS = new Map([
  ['/.well-known/openid-configuration', 'metadata'],
  // RFC 8414 §3; oidc-provider knows OpenID Connect's path only.
  ['/.well-known/oauth-authorization-server', 'metadata'],
  ['/jwks', 'jwks'],
  ['/token', 'token'],
  ['/token/introspection', 'introspection'],
  ['/token/revocation', 'revocation'],
]);

export class Gate {
  #counts = new Map([...ENDPOINTS.values()].map((name) => [name, 0]));

  #faults = new Map();

  counts() {
    return Object.fromEntries(this.#counts);
  }

  // What happens to the requests of an endpoint from now on. All are optional:
  //   delay    milliseconds before anything else
  //   status   this instead of the endpoint's answer; 0 closes the connection without one
  //   headers  of the answer, besides its own
  //   body     of the answer, with a status
  setFault(endpoint, fault) {
    if (!this.#counts.has(endpoint)) {
      throw new Error(`no endpoint ${endpoint}`);
    }
    this.#faults.set(endpoint, fault);
  }

  clearFaults() {
    this.#faults.clear();
  }

  async pass(request, response, proceed) {
    const [path, query] = request.url.split('?', 2);
    const endpoint = ENDPOINTS.get(path);
    if (endpoint === 'metadata') {
      request.url = `/.well-known/openid-configuration${query === undefined ? '' : `?${query}`}`;
    }
    if (endpoint) {
      this.#counts.set(endpoint, this.#counts.get(endpoint) + 1);
    }
    const { delay, status, headers = {}, body = '' } = this.#faults.get(endpoint) ?? {};
    if (delay) {
      await new Promise((resolve) => { setTimeout(resolve, delay); });
    }
    if (status === 0) {
      request.destroy();
    } else if (status) {
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(body);
    } else {
      override(response, headers);
      proceed();
    }
  }
}

// Node.js has no "last word on this header": when the head is written, ours are set once more.
function override(response, headers) {
  const { writeHead } = response;
  response.writeHead = (...parameters) => {
    for (const [name, value] of Object.entries(headers)) {
      response.setHeader(name, value);
    }
    return writeHead.apply(response, parameters);
  };
}
