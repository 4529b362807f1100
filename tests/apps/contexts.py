"""Sets context variables everywhere an application can, and tells what it sees of them. The path picks what is done."""

import contextvars
import decimal
import json
import threading
import time
import weakref
from urllib.parse import parse_qs

try:
    import tapster
except ImportError:
    tapster = None

FROM_IMPORT = contextvars.ContextVar("from_import", default="unset")
FROM_POST_FORK = contextvars.ContextVar("from_post_fork", default="unset")
OF_REQUEST = contextvars.ContextVar("of_request", default="unset")
OBJECT = contextvars.ContextVar("object")
#: What close() has seen, by request.
SEEN_BY_CLOSE = {}
TEXT = [("Content-Type", "text/plain")]
_kept = None
_together = threading.Barrier(4, timeout=10)

FROM_IMPORT.set("import")

if tapster is not None:

    @tapster.post_fork
    def set_in_worker():
        """Sets a variable for all requests of the worker."""
        FROM_POST_FORK.set("post_fork")


def see(environ, start_response):
    """What a request sees before it has set anything; then it sets what the next must not see."""
    seen = [variable.get() for variable in (FROM_IMPORT, FROM_POST_FORK, OF_REQUEST)]
    for variable in (FROM_IMPORT, FROM_POST_FORK, OF_REQUEST):
        variable.set("leaked")
    start_response("200 OK", TEXT)
    return [json.dumps([*seen, threading.current_thread().name]).encode()]


class Body:
    """A body that looks at the variable when it is iterated, and when it is closed."""

    def __init__(self, name):
        self.name = name
        self.left = 3

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        value = OF_REQUEST.get()
        OF_REQUEST.set(f"{value}+")
        return f"{value},".encode()

    def close(self):
        """Notes what it sees."""
        SEEN_BY_CLOSE[self.name] = OF_REQUEST.get()


def whole(environ, start_response):
    """Sets the variable in the call, for the body and its close() to see."""
    OF_REQUEST.set(environ["QUERY_STRING"])
    start_response("200 OK", TEXT)
    return Body(environ["QUERY_STRING"])


def seen_by_close(environ, start_response):
    """What close() has seen of the request in the query."""
    start_response("200 OK", TEXT)
    return [SEEN_BY_CLOSE.get(environ["QUERY_STRING"], "nothing").encode()]


def generator(environ, start_response):
    """Sets the variable in the midst of its body."""
    start_response("200 OK", TEXT)
    yield OF_REQUEST.get().encode()
    OF_REQUEST.set("set")
    yield OF_REQUEST.get().encode()


def interleaved(environ, start_response):
    """Four requests at a time set the variable, meet, and then look; and once more for each block of the body."""
    name = parse_qs(environ["QUERY_STRING"])["name"][0]
    OF_REQUEST.set(name)
    start_response("200 OK", TEXT)
    _together.wait()
    yield OF_REQUEST.get().encode()
    _together.wait()
    yield OF_REQUEST.get().encode()


class Watched:
    """An object that can be seen to be gone."""


def hold(environ, start_response):
    """Has nothing but its context hold an object."""
    global _kept
    watched = Watched()
    OBJECT.set(watched)
    _kept = weakref.ref(watched)
    start_response("200 OK", TEXT)
    return [b"held"]


def held(environ, start_response):
    """Whether the object of an earlier request is still there."""
    start_response("200 OK", TEXT)
    return [b"no" if _kept() is None else b"yes"]


def precision(environ, start_response):
    """The precision of decimal numbers, which the standard library keeps in the context; then changes it."""
    before = decimal.getcontext().prec
    decimal.getcontext().prec = 5
    start_response("200 OK", TEXT)
    return [str(before).encode()]


def fails(environ, start_response):
    """Sets the variable and fails."""
    OF_REQUEST.set("leaked")
    raise RuntimeError("fails with a variable set")


def in_thread(environ, start_response):
    """A copy of the request's context, used in a thread that outlives the request; the query names a file to write."""
    OF_REQUEST.set("of the request")
    context = contextvars.copy_context()

    def later():
        time.sleep(0.05)
        with open(environ["QUERY_STRING"], "w") as file:
            file.write(context.run(OF_REQUEST.get))

    threading.Thread(target=later).start()
    start_response("200 OK", TEXT)
    return [b"started"]


def application(environ, start_response):
    """Routes by the path."""
    name = environ["PATH_INFO"].lstrip("/").replace("-", "_")
    return globals()["see" if name == "hello" else name](environ, start_response)
