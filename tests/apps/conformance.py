"""One WSGI application of many small ones, each of which does one thing that PEP 3333 speaks of. The path picks it."""

import functools
import io
import json
import os
import sys
import threading
import time

import wsgi_input

CLOSED = []
TEXT = [("Content-Type", "text/plain")]
_started = threading.Event()


def text(environ, start_response, body, status="200 OK"):
    """Answers with a whole body."""
    data = body if isinstance(body, bytes) else body.encode()
    start_response(status, [*TEXT, ("Content-Length", str(len(data)))])
    return [data]


def hello(environ, start_response):
    """The plainest of all."""
    return text(environ, start_response, "hello")


def environ_dump(environ, start_response):
    """The environ as JSON: strings as they are, everything else as its type's name and repr."""
    shown = {key: value if type(value) is str else [type(value).__name__, repr(value)] for key, value in environ.items()}
    shown["type(environ)"] = type(environ).__name__
    environ["mutated.by.application"] = "yes"
    return text(environ, start_response, json.dumps(shown))


def environ_clear(environ, start_response):
    """Empties the environ, as an application may: it is allowed to modify it in any way."""
    environ.clear()
    return text(environ, start_response, "cleared")


def without_length(make):
    """An application that answers with whatever `make` makes, and no Content-Length."""

    def application(environ, start_response):
        start_response("200 OK", TEXT)
        return make()

    return application


class Iterator:
    """An iterable without a length."""

    def __init__(self, *parts):
        self.parts = list(parts)

    def __iter__(self):
        return self

    def __next__(self):
        if not self.parts:
            raise StopIteration
        return self.parts.pop(0)


class ClassApplication:
    """An application that is a class: the instance is the iterable."""

    def __init__(self, environ, start_response):
        self.environ, self.start = environ, start_response

    def __iter__(self):
        self.start("200 OK", TEXT)
        yield b"class "
        yield self.environ["REQUEST_METHOD"].encode()


class InstanceApplication:
    """An application that is an instance with __call__."""

    def __call__(self, environ, start_response):
        start_response("200 OK", TEXT)
        return [b"instance"]

    def method(self, environ, start_response):
        """An application that is a bound method."""
        start_response("200 OK", TEXT)
        return [b"method"]


def generator(environ, start_response):
    """A generator function: nothing of it runs before the first next()."""
    start_response("418 I'm a teapot", [*TEXT, ("X-Late", "yes")])
    yield b"one,"
    yield b"two,"
    yield b"three"


def prefixed(prefix, environ, start_response):
    """For functools.partial."""
    start_response("200 OK", TEXT)
    return [prefix]


def write(environ, start_response):
    """Uses write(), then returns more."""
    put = start_response("200 OK", TEXT)
    put(b"written,")
    put(b"twice,")
    return [b"returned"]


def write_only(environ, start_response):
    """Uses write() alone, under a Content-Length."""
    start_response("200 OK", [*TEXT, ("Content-Length", "7")])(b"written")
    return []


def exc_info_before(environ, start_response):
    """Changes its mind before anything was sent."""
    start_response("200 OK", [("X-First", "yes")])
    try:
        raise RuntimeError("changed my mind")
    except RuntimeError:
        start_response("503 Changed", [*TEXT, ("X-Second", "yes")], sys.exc_info())
    return [b"second"]


def exc_info_after(environ, start_response):
    """Changes its mind when it is too late, so start_response must raise what it is given."""
    start_response("200 OK", TEXT)
    yield b"first"
    try:
        raise RuntimeError("too late for this")
    except RuntimeError:
        start_response("503 Changed", TEXT, sys.exc_info())
    yield b"never sent"


def start_twice(environ, start_response):
    """Calls start_response a second time without exc_info, which is an error."""
    start_response("200 OK", TEXT)
    try:
        start_response("200 OK", TEXT)
    except Exception as error:
        return [f"refused: {type(error).__name__}".encode()]
    return [b"allowed"]


def raise_before(environ, start_response):
    """Raises before start_response."""
    raise RuntimeError("raised before start_response")


def raise_after(environ, start_response):
    """Raises after start_response and before the first byte."""
    start_response("200 OK", TEXT)
    raise RuntimeError("raised after start_response")


def raise_midstream(environ, start_response):
    """Raises once a part of the body has been sent."""
    start_response("200 OK", TEXT)
    yield b"partial"
    raise RuntimeError("raised midstream")


def raise_midstream_with_length(environ, start_response):
    """The same under a Content-Length."""
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    yield b"partial"
    raise RuntimeError("raised midstream")


class Closing:
    """An iterable whose close() is recorded under a name; it can raise, and it can go on for long."""

    def __init__(self, name, parts=(b"a", b"b"), fail=False):
        self.name, self.parts, self.fail = name, parts, fail

    def __iter__(self):
        yield from self.parts
        if self.fail:
            raise RuntimeError("raised in iteration")

    def close(self):
        """Records that it was called."""
        CLOSED.append(self.name)


def closing(environ, start_response):
    """Returns an iterable with close(); the query says its name, and how it goes."""
    name, _, how = environ["QUERY_STRING"].partition("&")
    start_response("200 OK", TEXT)
    endless = iter(lambda: b"x" * 65536, None)
    return Closing(name, endless if how == "endless" else (b"a", b"b"), fail=how == "fail")


def closed(environ, start_response):
    """How many times close() was called for the name in the query."""
    return text(environ, start_response, str(CLOSED.count(environ["QUERY_STRING"])))


def no_start(environ, start_response):
    """Never calls start_response."""
    return [b"without a status"]


def no_start_empty(environ, start_response):
    """Never calls start_response, and has no body either."""
    return []


def length(environ, start_response):
    """Announces as many bytes as the first number of the query says and yields as many as the second."""
    announced, real = environ["QUERY_STRING"].split(",")
    start_response("200 OK", [*TEXT, ("Content-Length", announced)])
    return iter([b"x" * int(real)])


def status(environ, start_response):
    """Answers with the status in the query, with a body."""
    start_response(environ["QUERY_STRING"].replace("+", " "), [("X-Seen", "yes")])
    return [b"body"]


def headers(environ, start_response):
    """Repeated and odd headers."""
    start_response(
        "200 OK",
        [
            *TEXT,
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2; Path=/"),
            ("X-Latin", "caf\xe9"),
            ("X-Empty", ""),
            ("x-lower", "kept"),
        ],
    )
    return [b"headers"]


def injected(environ, start_response):
    """A header value with a line break in it."""
    start_response("200 OK", [*TEXT, ("X-Evil", "a\r\nX-Injected: yes")])
    return [b"injected"]


def bad_status(environ, start_response):
    """A status that is no string."""
    start_response(200, TEXT)
    return [b"bad"]


def bad_header_type(environ, start_response):
    """A header value that is no string."""
    start_response("200 OK", [("X-Number", 5)])
    return [b"bad"]


def unicode_body(environ, start_response):
    """A body that is not bytes."""
    start_response("200 OK", TEXT)
    return ["text"]


def hop_by_hop(environ, start_response):
    """Hop-by-hop headers, which are the server's own."""
    hop_by_hop = [("Connection", "keep-alive, X-Private"), ("Keep-Alive", "timeout=99"), ("TE", "x"), ("Trailer", "x")]
    start_response("200 OK", [*TEXT, *hop_by_hop, ("Transfer-Encoding", "chunked"), ("X-After", "yes")])
    return [b"hop"]


def connection_close(environ, start_response):
    """Would have the connection closed."""
    start_response("200 OK", [*TEXT, ("Connection", "Close")])
    return [b"closed"]


def own_date(environ, start_response):
    """A Date and a Server header of its own."""
    start_response("200 OK", [*TEXT, ("Date", "Mon, 01 Jan 2001 00:00:00 GMT"), ("Server", "mine")])
    return [b"dated"]


def mutable_headers(environ, start_response):
    """Changes the list of headers after start_response; what counts is what is sent, whole."""
    fields = [("Content-Type", "text/plain")]
    start_response("200 OK", fields)
    return [b"mutable"]


def file_wrapper(environ, start_response):
    """A real file through wsgi.file_wrapper, from an offset that the query gives."""
    stream = open(__file__, "rb")
    stream.seek(int(environ["QUERY_STRING"] or 0))
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](stream, 4096)


def file_wrapper_memory(environ, start_response):
    """Something that is only like a file through wsgi.file_wrapper."""
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"m" * 100_000))


def errors(environ, start_response):
    """Uses wsgi.errors in all its ways."""
    stream = environ["wsgi.errors"]
    stream.write("errors: written caf\xe9 \u2713\n")
    stream.writelines(["errors: one line\n", "errors: another line\n"])
    stream.flush()
    return text(environ, start_response, "logged")


def sleep(environ, start_response):
    """Takes as many seconds as the query says."""
    _started.set()
    time.sleep(float(environ["QUERY_STRING"]))
    return text(environ, start_response, str(os.getpid()))


def big(environ, start_response):
    """As many bytes as the query says, in pieces of 64 KiB, without a length."""
    left = int(environ["QUERY_STRING"])
    start_response("200 OK", TEXT)
    while left > 0:
        size = min(left, 65536)
        yield bytes([left % 251]) * size
        left -= size


def slow_stream(environ, start_response):
    """Yields a part, waits until the client has asked /release for the name in the query, and yields another."""
    name = environ["QUERY_STRING"]
    start_response("200 OK", TEXT)
    yield b"first"
    deadline = time.monotonic() + 5
    while not os.path.exists(name) and time.monotonic() < deadline:
        time.sleep(0.01)
    yield b"second" if os.path.exists(name) else b"late"


def pid(environ, start_response):
    """The worker's pid."""
    return text(environ, start_response, str(os.getpid()))


_instance = InstanceApplication()
ROUTES = {
    "hello": hello,
    "environ": environ_dump,
    "environ-clear": environ_clear,
    "list": without_length(lambda: [b"a", b"bc", b"def"]),
    "tuple": without_length(lambda: (b"a", b"bc", b"def")),
    "single": without_length(lambda: [b"only one"]),
    "empty-list": without_length(lambda: []),
    "empty-strings": without_length(lambda: [b"", b"ab", b"", b"c", b""]),
    "all-empty": without_length(lambda: iter([b"", b""])),
    "iterator": without_length(lambda: Iterator(b"a", b"bc", b"def")),
    "class": ClassApplication,
    "instance": _instance,
    "method": _instance.method,
    "partial": functools.partial(prefixed, b"partial"),
    "generator": generator,
    "write": write,
    "write-only": write_only,
    "exc-info-before": exc_info_before,
    "exc-info-after": exc_info_after,
    "start-twice": start_twice,
    "raise-before": raise_before,
    "raise-after": raise_after,
    "raise-midstream": raise_midstream,
    "raise-midstream-with-length": raise_midstream_with_length,
    "closing": closing,
    "closed": closed,
    "no-start": no_start,
    "no-start-empty": no_start_empty,
    "length": length,
    "status": status,
    "headers": headers,
    "injected": injected,
    "bad-status": bad_status,
    "bad-header-type": bad_header_type,
    "unicode-body": unicode_body,
    "hop-by-hop": hop_by_hop,
    "connection-close": connection_close,
    "own-date": own_date,
    "mutable-headers": mutable_headers,
    "file-wrapper": file_wrapper,
    "file-wrapper-memory": file_wrapper_memory,
    "errors": errors,
    "sleep": sleep,
    "big": big,
    "slow-stream": slow_stream,
    "pid": pid,
    "input": wsgi_input.application,
}


def application(environ, start_response):
    """Routes by the first segment of the path; without one it is `hello`, and an unknown one shows the environ."""
    name = environ["PATH_INFO"].lstrip("/").split("/")[0] or "hello"
    return ROUTES.get(name, environ_dump)(environ, start_response)
