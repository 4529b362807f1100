"""Flask, Django and plain WSGI in one application: each route does one thing that applications do all day, and one
counts what is left of it.

`X-Token` comes back with every reply, so that no client can take another's for its own.
"""

import contextvars
import ctypes
import gc
import hashlib
import io
import json
import linecache
import os
import sys
import threading
from collections import Counter, deque

import django
import flask
from crowd import at_gate
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

#: What replies are made of.
PATTERN = bytes(range(256)) * 16
MINE = contextvars.ContextVar("mine")
#: What some requests leave behind them for a while.
KEPT = deque(maxlen=20)
#: A file of a megabyte that the test has made.
FILE = os.environ["SOAK_FILE"]
#: Whether Python showed a request what another one had set.
LEAKED = []


def pattern(size):
    """So many bytes that can be told from others."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def digest(stream):
    """Reads a stream to its end, and tells what it was."""
    found = hashlib.md5(usedforsecurity=False)
    while block := stream.read(65536):
        found.update(block)
    return found.hexdigest().encode()


# Plain WSGI. Each gets the query, as a number where it is one.


def fields(environ, *more):
    """The headers of each reply."""
    return [("Content-Type", "application/octet-stream"), ("X-Token", environ.get("HTTP_X_TOKEN", "")), *more]


def said(environ, start_response, body):
    """A whole reply."""
    start_response("200 OK", fields(environ, ("Content-Length", str(len(body)))))
    return [body]


def hello(environ, start_response, query):
    """The plainest."""
    return said(environ, start_response, b"hello")


def stay(environ, start_response, query):
    """Stays at a gate."""
    at_gate(query)
    return said(environ, start_response, b"stayed")


def upload(environ, start_response, query):
    """What was uploaded, as a digest."""
    return said(environ, start_response, digest(environ["wsgi.input"]))


def ignored(environ, start_response, query):
    """Reads nothing of what was uploaded."""
    return said(environ, start_response, b"ignored")


def some(environ, start_response, query):
    """Reads some of it, by lines, and closes the rest."""
    line = environ["wsgi.input"].readline(100)
    environ["wsgi.input"].close()
    return said(environ, start_response, line)


def listed(environ, start_response, query):
    """A list of blocks."""
    start_response("200 OK", fields(environ))
    return [pattern(query // 10)] * 10


def generated(environ, start_response, query):
    """A generator that declares late."""
    start_response("200 OK", fields(environ))
    for _ in range(10):
        yield pattern(query // 10)


def written(environ, start_response, query):
    """By write()."""
    put = start_response("200 OK", fields(environ))
    for _ in range(10):
        put(pattern(query // 10))
    return ()


def endless(environ, start_response, query):
    """Goes on until its client is gone."""
    start_response("200 OK", fields(environ))
    while not environ["tapster.client_disconnected"]():
        yield pattern(65536)


def pushed(environ, start_response, query):
    """The same by write(), which says so."""
    put = start_response("200 OK", fields(environ))
    while True:
        put(pattern(65536))


def filed(environ, start_response, query):
    """A plain file, from some place on."""
    file = open(FILE, "rb")
    file.seek(query)
    start_response("200 OK", fields(environ))
    return environ["wsgi.file_wrapper"](file, 65536)


def wrapped(environ, start_response, query):
    """What is only like a file."""
    start_response("200 OK", fields(environ))
    return environ["wsgi.file_wrapper"](io.BytesIO(pattern(query)), 65536)


def hinted(environ, start_response, query):
    """Two early hints first."""
    for name in ("a", "b"):
        environ["wsgi.early_hints"]([("Link", f"</{name}.css>; rel=preload")])
    return said(environ, start_response, b"hinted")


def replaced(environ, start_response, query):
    """Declares, fails, and declares again."""
    start_response("200 OK", fields(environ))
    try:
        raise KeyError("soak: to be replaced")
    except KeyError:
        start_response("503 Replaced", fields(environ), sys.exc_info())
    return [b"replaced"]


def kept(environ, start_response, query):
    """Keeps what it should not."""
    KEPT.append((environ, start_response, start_response("200 OK", fields(environ))))
    return [b"kept"]


def contexts(environ, start_response, query):
    """Sets a context variable that no other request may see."""
    seen = MINE.get(None)
    MINE.set(environ)
    if seen is not None:
        LEAKED.append(environ["HTTP_X_TOKEN"])
    return said(environ, start_response, b"none" if seen is None else b"another's")


def threaded(environ, start_response, query):
    """Has another thread do it."""
    found = []
    thread = threading.Thread(target=lambda: found.append(pattern(query)))
    thread.start()
    thread.join()
    return said(environ, start_response, found[0])


def fails(environ, start_response, query):
    """Raises at once."""
    raise RuntimeError("soak: fails")


def fails_later(environ, start_response, query):
    """Raises in the midst of it."""
    start_response("200 OK", fields(environ))
    yield b"some"
    raise RuntimeError("soak: fails later")


class FailsInClose(list):
    """A body that is whole, and whose end is not."""

    def __iter__(self):
        return super().__iter__()

    def close(self):
        """Raises."""
        raise RuntimeError("soak: fails in close")


def fails_in_close(environ, start_response, query):
    """Raises in close()."""
    start_response("200 OK", fields(environ))
    return FailsInClose([b"some"])


def yields_text(environ, start_response, query):
    """Gives a str."""
    start_response("200 OK", fields(environ))
    return ["soak: text"]


def starts_twice(environ, start_response, query):
    """Declares twice."""
    start_response("200 OK", fields(environ))
    start_response("200 OK", fields(environ))
    return [b"twice"]


PLAIN = {
    each.__name__: each
    for each in (
        *(hello, stay, upload, ignored, some, listed, generated, written, endless, pushed, filed, wrapped, hinted, replaced),
        *(kept, contexts, threaded, fails, fails_later, fails_in_close, yields_text, starts_twice),
    )
}

# Flask.

flasks = flask.Flask(__name__)
flasks.secret_key = "not a secret: this application is only ever served to its own tests"


@flasks.after_request
def token_for_flask(response):
    """Sends the token back."""
    response.headers["X-Token"] = flask.request.headers.get("X-Token", "")
    return response


@flasks.get("/flask/hello/<name>")
def flask_hello(name):
    """A template, and a session."""
    flask.session["name"] = name
    return flask.render_template_string("Hello, {{ name }}!", name=name)


@flasks.post("/flask/upload")
def flask_upload():
    """A file of a form."""
    with flask.request.files["file"].stream as stream:
        return digest(stream)


@flasks.get("/flask/stream")
def flask_stream():
    """A stream that keeps its request."""
    return flask.Response(flask.stream_with_context(f"{flask.request.path} {number}\n" for number in range(50)))


@flasks.get("/flask/file")
def flask_file():
    """A file, by wsgi.file_wrapper; ranges too."""
    return flask.send_file(FILE, mimetype="application/octet-stream", conditional=True)


@flasks.get("/flask/fail")
def flask_fail():
    """Raises."""
    raise RuntimeError("soak: flask fails")


# Django.


def django_hello(request, name):
    """The plainest."""
    return HttpResponse(f"Hello, {name}!")


def django_upload(request):
    """A file of a form."""
    with request.FILES["file"] as file:
        return HttpResponse(digest(file))


def django_stream(request):
    """A stream."""
    return StreamingHttpResponse(f"{request.path} {number}\n" for number in range(50))


def django_file(request):
    """A file, by wsgi.file_wrapper."""
    return FileResponse(open(FILE, "rb"))


def django_fail(request):
    """Raises."""
    raise RuntimeError("soak: django fails")


def token_for_django(answer):
    """Sends the token back, as middleware."""

    def middleware(request):
        response = answer(request)
        response["X-Token"] = request.headers.get("X-Token", "")
        return response

    return middleware


urlpatterns = [
    path("django/hello/<name>", django_hello),
    path("django/upload", django_upload),
    path("django/stream", django_stream),
    path("django/file", django_file),
    path("django/fail", django_fail),
]
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: this application is only ever served to its own tests",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", f"{__name__}.token_for_django"],
    USE_TZ=True,
)
django.setup()
djangos = WSGIHandler()

# What is left.


class Mallinfo(ctypes.Structure):
    """What glibc tells of its heaps (mallinfo2(3))."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def allocated():
    """The bytes that are in use of what malloc() has given out."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo
    found = mallinfo2()
    return found.uordblks + found.hblkhd


def kind_of(thing):
    """The name of an object's type; a built-in function has one of its own."""
    kind = type(thing)
    return f"function {thing.__name__}" if kind is type(len) else kind.__name__


def counted():
    """What there is in this process."""
    KEPT.clear()
    # The sources of whatever has been in a traceback.
    linecache.clearcache()
    for _ in range(3):
        gc.collect()
    objects = gc.get_objects()
    kinds = Counter(map(kind_of, objects))
    del objects
    return {
        "objects": kinds,
        "blocks": sys.getallocatedblocks(),
        "allocated": allocated(),
        "garbage": len(gc.garbage),
        "leaked": LEAKED,
        "dev_mode": sys.flags.dev_mode,
        "warnings": sys.warnoptions,
        "threads": [each.name for each in threading.enumerate()],
    }


def application(environ, start_response):
    """To whom the path belongs."""
    name = environ["PATH_INFO"]
    if name.startswith("/flask/"):
        return flasks(environ, start_response)
    if name.startswith("/django/"):
        return djangos(environ, start_response)
    if name == "/counted":
        return said(environ, start_response, json.dumps(counted()).encode())
    query = environ["QUERY_STRING"]
    return PLAIN[name[1:]](environ, start_response, int(query) if query.isdigit() else query)
