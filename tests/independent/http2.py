"""HTTP/2 (RFC 9113) over a tlslite connection, by the h2 library: several requests at once on one connection."""

import h2.config
import h2.connection
import h2.events


class Http2:
    def __init__(self, tls):
        self.tls = tls
        # The tests send what a browser would not, such as fields of a server: nothing is put right on the way.
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(config)
        self.state.initiate_connection()
        self.flush()

    def flush(self):
        octets = self.state.data_to_send()
        if octets:
            self.tls.write(octets)

    def exchange(self, requests, authority):
        """Sends all requests before it reads: one stream each. The responses, in the order of the requests.

        A request has `path`, `headers` (pairs), and may have `method`, `body`, `trailers` (pairs)."""
        streams = []
        answers = {}
        for request in requests:
            stream = self.state.get_next_available_stream_id()
            streams.append(stream)
            answers[stream] = {"status": 0, "headers": [], "body": ""}
            self.send(stream, request, authority)
        self.flush()
        open_streams = set(streams)
        while open_streams:
            octets = bytes(self.tls.read(max=65536))
            if not octets:
                raise ConnectionError("the connection ended before all responses")
            for event in self.state.receive_data(octets):
                self.take(event, answers, open_streams)
            self.flush()
        return [answers[stream] for stream in streams]

    def send(self, stream, request, authority):
        body, trailers = request.get("body", ""), request.get("trailers", [])
        fields = [
            (":method", request.get("method", "POST" if body or trailers else "GET")),
            (":scheme", "https"),
            (":authority", authority),
            (":path", request["path"]),
        ]
        fields += [(name.lower(), value) for name, value in request.get("headers", [])]
        self.state.send_headers(stream, fields, end_stream=not body and not trailers)
        if body or trailers:
            self.state.send_data(stream, body.encode("latin-1"), end_stream=not trailers)
        if trailers:
            self.state.send_headers(stream, [(name.lower(), value) for name, value in trailers], end_stream=True)

    def take(self, event, answers, open_streams):
        if isinstance(event, h2.events.ResponseReceived):
            fields = dict(event.headers)
            answers[event.stream_id]["status"] = int(fields.pop(":status"))
            answers[event.stream_id]["headers"] = [[name, value] for name, value in fields.items()]
        elif isinstance(event, h2.events.DataReceived):
            answers[event.stream_id]["body"] += event.data.decode("latin-1")
            self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
            open_streams.discard(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            raise ConnectionError(f"GOAWAY {event.error_code}")
