"""start_response: what is declared, when it is sent, and what is refused."""

import sys
import weakref
from urllib.parse import quote

from . import TEXT, current_error, folder, note, note_raised, plain, report, route, text, wait_gate


@route
def returns_write(environ, start_response):
    """What start_response returns."""
    returned = start_response("200 OK", [TEXT], None)
    return [f"{callable(returned)} {type(returned).__name__}".encode()]


@route
def held_head(environ, start_response):
    """Declares, then takes its time before it returns."""
    at = folder(environ)
    plain(start_response, ("X-Declared", "yes"), status="201 Created")
    note(at, "declared")
    wait_gate(at)
    return [b"late"]


@route
def held_by_empty_blocks(environ, start_response):
    """Yields nothing but empty blocks for a while."""
    at = folder(environ)
    plain(start_response, ("X-Declared", "yes"), status="201 Created")

    def blocks():
        yield b""
        yield b""
        note(at, "declared")
        wait_gate(at)
        yield b"late"

    return blocks()


@route
def no_blocks(environ, start_response):
    """Declares, and has no body."""
    plain(start_response, ("X-Declared", "yes"), status="201 Created")
    return iter(())


@route
def only_empty_blocks(environ, start_response):
    """Declares, and yields empty blocks only."""
    plain(start_response, ("X-Declared", "yes"), status="201 Created")
    return iter((b"", b""))


@route
def deferred(environ, start_response):
    """A generator: nothing is declared before the first iteration."""
    start_response("418 I'm a teapot", [TEXT, ("X-Late", "yes")])
    yield b"one,"
    yield b"two"


@route
class deferred_by_class:  # noqa: N801  (it is a route, and named like one)
    """The class of the PEP's example: nothing is declared before it is iterated."""

    def __init__(self, environ, start_response):
        self.start = start_response

    def __iter__(self):
        self.start("418 I'm a teapot", [TEXT, ("X-Late", "yes")])
        yield b"one,"
        yield b"two"


@route
def replaced(environ, start_response):
    """Changes its mind before anything was sent."""
    start_response("200 OK", [TEXT, ("X-First", "yes"), ("Content-Length", "100")])
    start_response("503 Changed", [TEXT, ("X-Second", "yes")], current_error())
    return [b"second"]


@route
def replaced_after_empty_blocks(environ, start_response):
    """Changes its mind when it has yielded no more than empty blocks."""
    start_response("200 OK", [TEXT, ("X-First", "yes")])

    def blocks():
        yield b""
        start_response("503 Changed", [TEXT, ("X-Second", "yes")], current_error())
        yield b"second"

    return blocks()


@route
def too_late(environ, start_response):
    """Would change its mind when the first block is gone; lets pass what start_response raises."""
    at = folder(environ)
    plain(start_response)

    def blocks():
        yield b"first"
        info = current_error()
        try:
            start_response("503 Changed", [TEXT], info)
        except BaseException as error:
            note(at, "raised", "the same" if error is info[1] else f"{type(error).__name__}: {error}")
            raise
        note(at, "raised", "nothing")
        yield b"second"

    return blocks()


@route
def forgotten(environ, start_response):
    """Whether start_response forgets the exception that it was given."""
    reference = _declare_in_handler(start_response)
    return [b"held" if reference() else b"forgotten"]


class _Error(Exception):
    """One that can be watched."""


def _declare_in_handler(start_response):
    try:
        raise _Error("watched")
    except _Error as error:
        start_response("200 OK", [TEXT], sys.exc_info())
        return weakref.ref(error)


@route
def twice(environ, start_response):
    """Declares twice, without an exception's information."""
    at = folder(environ)
    plain(start_response)
    note_raised(at, "raised", start_response, "200 OK", [TEXT])
    return [b"done"]


@route
def again_after_an_error(environ, start_response):
    """Declares wrongly, then rightly, as if the wrong one had not been."""
    at = folder(environ)
    if note_raised(at, "first", start_response, "200 OK", [TEXT, ("X-Bad", "a\r\nb")]):
        note_raised(at, "second", start_response, "200 OK", [TEXT])
    start_response("200 OK", [TEXT], current_error())
    return [b"done"]


_OK = "200 OK"
#: What no application may declare: status and headers.
WRONG = {
    "value-with-line-end": (_OK, [TEXT, ("X-Wrong", "a\r\nX-Evil: b")]),
    "value-with-newline": (_OK, [TEXT, ("X-Wrong", "a\nX-Evil: b")]),
    "value-with-return": (_OK, [TEXT, ("X-Wrong", "a\rX-Evil: b")]),
    "value-ends-with-newline": (_OK, [TEXT, ("X-Wrong", "a\n")]),
    "value-with-nul": (_OK, [TEXT, ("X-Wrong", "a\0b")]),
    "value-with-escape": (_OK, [TEXT, ("X-Wrong", "a\x1bb")]),
    "value-beyond-latin-1": (_OK, [TEXT, ("X-Wrong", "\u2713")]),
    "value-is-int": (_OK, [TEXT, ("X-Wrong", 5)]),
    "value-is-bytes": (_OK, [TEXT, ("X-Wrong", b"bytes")]),
    "value-is-none": (_OK, [TEXT, ("X-Wrong", None)]),
    "name-with-line-end": (_OK, [TEXT, ("X-Wrong: a\r\nX-Evil", "b")]),
    "name-with-colon": (_OK, [TEXT, ("X-Wrong:", "b")]),
    "name-with-space": (_OK, [TEXT, ("X Wrong", "b")]),
    "name-is-empty": (_OK, [TEXT, ("", "b")]),
    "name-is-bytes": (_OK, [TEXT, (b"X-Wrong", "b")]),
    "status-with-line-end": ("200 OK\r\nX-Evil: b", [TEXT]),
    "status-ends-with-newline": ("200 OK\n", [TEXT]),
    "status-beyond-latin-1": ("200 \u2713", [TEXT]),
    "status-is-int": (200, [TEXT]),
    "status-is-bytes": (b"200 OK", [TEXT]),
    "status-without-code": ("fine", [TEXT]),
    "connection": (_OK, [TEXT, ("Connection", "close")]),
    "keep-alive": (_OK, [TEXT, ("keep-alive", "timeout=5")]),
    "proxy-authenticate": (_OK, [TEXT, ("Proxy-Authenticate", "Basic")]),
    "proxy-authorization": (_OK, [TEXT, ("Proxy-Authorization", "Basic eA==")]),
    "te": (_OK, [TEXT, ("TE", "trailers")]),
    "trailers": (_OK, [TEXT, ("Trailers", "X-End")]),
    "transfer-encoding": (_OK, [TEXT, ("Transfer-Encoding", "identity")]),
    "upgrade": (_OK, [TEXT, ("Upgrade", "other/1")]),
}


@route
def wrong(environ, start_response):
    """Declares what no application may, as a header field says, and lets pass what is raised."""
    at, (status, headers) = folder(environ), WRONG[environ["HTTP_X_CASE"]]
    try:
        start_response(status, headers)
    except BaseException as error:
        note(at, "raised", f"{type(error).__name__}: {error}")
        raise
    return [b"body"]


@route
def never(environ, start_response):
    """Does not declare anything."""
    return [b"undeclared"]


@route
def own(environ, start_response):
    """Headers in an order, a case and a number of its own, and a reason phrase too."""
    fields = [
        ("content-TYPE", "text/x-own; charset=latin-1"),
        ("Set-Cookie", "a=1; Path=/"),
        ("X-Latin", "caf\xe9"),
        ("Set-Cookie", "b=2; Path=/"),
        ("X-Empty", ""),
        ("x-lower", "low"),
        ("cOntent-lEngth", "4"),
        ("dATE", "Tue, 15 Nov 1994 08:12:31 GMT"),
        ("sERVER", "own"),
    ]
    start_response("299 Rather Fine", fields)
    return [b"body"]


@route
def compressible(environ, start_response):
    """A body that a server might be tempted to work on, validators with it."""
    body = b"a" * 20_000
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body))), ("ETag", '"one"')])
    return [body]


@route
def status(environ, start_response):
    """A status of the client's choice, with a body only where there may be one."""
    code = environ["HTTP_X_STATUS"]
    start_response(code, [("X-Seen", "yes")])
    return [] if code[:3] in ("204", "304") else [b"body"]


@route
def url(environ, start_response):
    """The URL as PEP 3333 puts it together."""
    return report(start_response, environ["wsgi.url_scheme"] + "://" + _host(environ) + _path(environ))


def _host(environ):
    if environ.get("HTTP_HOST"):
        return environ["HTTP_HOST"]
    return f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"


def _path(environ):
    path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
    return path + (f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else "")


@route
def hello(environ, start_response):
    """The plainest of all."""
    return text(start_response, b"hello")
