"""Sets context variables and undoes it, in a process where nothing else has set any. The path picks what is done."""

import contextvars

OF_REQUEST = contextvars.ContextVar("of_request", default="unset")
TEXT = [("Content-Type", "text/plain")]


def see(environ, start_response):
    """What the request finds."""
    start_response("200 OK", TEXT)
    return [OF_REQUEST.get().encode()]


_token = None


def sets_and_undoes(environ, start_response):
    """Leaves its context as it was, and keeps the token all the same."""
    global _token
    token = OF_REQUEST.set("for a moment")
    OF_REQUEST.reset(token)
    _token = OF_REQUEST.set("again")
    OF_REQUEST.reset(_token)
    start_response("200 OK", TEXT)
    return [b"undone"]


def keeps_a_token(environ, start_response):
    """What could undo it stays behind, with nothing set."""
    global _token
    with_nothing = OF_REQUEST.set("first")
    _token = OF_REQUEST.set("second")
    OF_REQUEST.reset(with_nothing)
    start_response("200 OK", TEXT)
    return [b"kept"]


def uses_the_token(environ, start_response):
    """Undoes what an earlier request has set, which only that request's context would let it."""
    try:
        OF_REQUEST.reset(_token)
        said = "it was taken"
    except (ValueError, RuntimeError) as error:
        said = str(error)
    start_response("200 OK", TEXT)
    return [said.encode()]


def application(environ, start_response):
    """Routes by the path."""
    name = environ["PATH_INFO"].lstrip("/").replace("-", "_")
    return globals()["see" if name == "hello" else name](environ, start_response)
