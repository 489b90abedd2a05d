"""A WSGI application with bound login sessions: `python3 app.py PORT` serves it on 127.0.0.1.

POST /login with user=NAME, POST /logout, GET / says who is logged in. A real application asks for a password.
"""

import json
import secrets
import sys
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

from bound_session import Malformed, is_same_client, proved

COOKIE = "__Host-session"
# One process's memory stands for the session store of your framework.
SESSIONS = {}


def application(environ, start_response):
    try:
        status, answer, fields = route(environ, proved(environ))
    except Malformed as fault:
        status, answer, fields = "400 Bad Request", {"error": f"malformed {fault}"}, []
    body = json.dumps(answer).encode()
    fields += [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        # RFC 9440 section 2.4: no cache may give this to another client.
        ("Cache-Control", "no-store"),
        ("Vary", "Cookie, Client-Cert"),
    ]
    start_response(status, fields)
    return [body]


def route(environ, found):
    action = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    if action == ("POST", "/login"):
        return login(environ, found)
    session_id, session = session_of(environ, found)
    if action == ("POST", "/logout"):
        SESSIONS.pop(session_id, None)
        return "200 OK", {"user": None}, []
    if action != ("GET", "/"):
        return "404 Not Found", {"error": "not found"}, []
    if session is None:
        return "401 Unauthorized", {"error": "not logged in"}, []
    return "200 OK", session, []


def login(environ, found):
    user = form(environ).get("user")
    if not user:
        return "400 Bad Request", {"error": "user is missing"}, []
    # A new name for each login, and with it what is proved now.
    session_id = secrets.token_urlsafe(32)
    SESSIONS[session_id] = {"user": user[0], "bound_to": found}
    cookie = f"{COOKIE}={session_id}; Path=/; Secure; HttpOnly; SameSite=Lax"
    return "200 OK", SESSIONS[session_id], [("Set-Cookie", cookie)]


def session_of(environ, found):
    """The session of the request's cookie. Another client's is none, and stays as it is: its owner may go on."""
    session_id = cookie(environ)
    session = SESSIONS.get(session_id)
    if session is None or not is_same_client(session["bound_to"], found):
        return None, None
    return session_id, session


def cookie(environ):
    pairs = (pair.strip().partition("=") for pair in environ.get("HTTP_COOKIE", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), None)


def form(environ):
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit() or int(length) > 1000:
        return {}
    return parse_qs(environ["wsgi.input"].read(int(length)).decode("latin-1"))


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), application) as server:
        server.serve_forever()
