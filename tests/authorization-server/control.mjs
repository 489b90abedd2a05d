// The switches, over plain HTTP for the test alone:
//
//   GET  /counts                      requests of each endpoint so far
//   POST /fault    {endpoint, ...}    as gate.mjs says
//   POST /recover                     no more faults
//   POST /rotate   {keep}             new signing keys; the old ones stay published, or do not. Answers their key IDs
//   POST /claims   {...}              claims of every user from now on, in ID tokens: cnf
//   POST /client   {...}              registers a client: RFC 7591's metadata, with its client_id

export function control(gate, authorizationServer) {
  const switches = {
    'GET /counts': () => gate.counts(),
    'POST /fault': ({ endpoint, ...fault }) => gate.setFault(endpoint, fault),
    'POST /recover': () => gate.clearFaults(),
    'POST /rotate': ({ keep }) => authorizationServer.rotate(keep),
    'POST /claims': (claims) => authorizationServer.claim(claims),
    'POST /client': (metadata) => authorizationServer.register(metadata),
  };
  return async (request, response) => {
    try {
      let text = '';
      for await (const part of request) {
        text += part;
      }
      const answer = await switches[`${request.method} ${request.url}`](JSON.parse(text || '{}'));
      response.end(JSON.stringify(answer ?? {}));
    } catch (error) {
      response.writeHead(500).end(String(error.stack));
    }
  };
}
