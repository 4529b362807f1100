"""Applications that do what they may not, which must cost nobody but themselves. The path picks one."""

import json
import os
import threading
import time

TEXT = [("Content-Type", "text/plain")]
LARGE = 32 << 20
#: How each forbidden call went, since `noted` was last asked for.
NOTED = []


def attempt(function, *arguments, **named):
    """Makes a call and notes how it went."""
    try:
        function(*arguments, **named)
    except Exception as error:
        NOTED.append(f"{type(error).__name__}: {error}")
    else:
        NOTED.append("accepted")


def started(function, *arguments):
    """A thread that is running already."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def noted(environ, start_response):
    """What was noted, as JSON; forgets it."""
    start_response("200 OK", [("Content-Type", "application/json")])
    body = json.dumps(NOTED).encode()
    NOTED.clear()
    return [body]


def hello(environ, start_response):
    """Does nothing wrong."""
    start_response("200 OK", TEXT)
    return [b"hello"]


def thread_during(environ, start_response):
    """Another thread calls both functions while the application's own waits for it."""
    started(attempt, start_response, "200 Theirs", TEXT).join()
    put = start_response("200 OK", TEXT)
    started(attempt, put, b"theirs" * 1_000_000).join()
    return [b"own"]


def _push_many(call, touched, begun):
    begun.wait()
    for _ in range(20):
        time.sleep(0.005)
        attempt(call)
    open(touched, "w").close()


def thread_while_write_waits(environ, start_response):
    """Another thread writes while write() waits for a client; the query names a file to touch when it has tried."""
    put, begun = start_response("200 OK", TEXT), threading.Event()
    thread = started(_push_many, lambda: put(b"theirs"), environ["QUERY_STRING"], begun)
    begun.set()
    put(b"m" * LARGE)
    thread.join()
    return [b"end"]


def thread_between_blocks(environ, start_response):
    """Another thread writes while the server waits for a client to take a block."""
    put, begun = start_response("200 OK", TEXT), threading.Event()
    thread = started(_push_many, lambda: put(b"theirs"), environ["QUERY_STRING"], begun)
    begun.set()
    yield b"m" * LARGE
    thread.join()
    yield b"end"


def odd_exc_info(environ, start_response):
    """Passes as exc_info, once the head has left, what sys.exc_info() never returns."""
    start_response("200 OK", TEXT)(b"sent")
    fault = ValueError("mine")
    for odd in ((int, 5, None), (ValueError, 5, None), (ValueError, fault, "trace"), (5, None, None), (1, 2), "exc_info"):
        attempt(start_response, "500 Odd", TEXT, odd)
    attempt(start_response, "500 Right", TEXT, (ValueError, fault, None))
    attempt(start_response, "500 Right", TEXT, (KeyError, None, None))
    return []


def surrogate(environ, start_response):
    """Fails with a text that UTF-8 can't hold, as paths that are no UTF-8 give it."""
    raise RuntimeError("no such file: caf\udce9")


class WritesInClose:
    """A body whose close() still calls both functions."""

    def __init__(self, start_response):
        self.start_response = start_response
        self.put = start_response("200 OK", TEXT)

    def __iter__(self):
        return iter([b"body"])

    def close(self):
        """Comes too late."""
        attempt(self.put, b"late")
        attempt(self.start_response, "500 Late", TEXT, (ValueError, ValueError("late"), None))


def close_writes(environ, start_response):
    """Writes in close()."""
    return WritesInClose(start_response)


class Named(type):
    """A metaclass whose __name__ is code of the application's."""

    @property
    def __name__(cls):
        cls.action()
        return "Odd"


def reentered(environ, start_response):
    """Calls start_response while start_response looks at its arguments, and empties them."""
    fields = [("X-Outer", "yes"), ("X-Outer", "again")]

    class Odd(metaclass=Named):
        @staticmethod
        def action():
            fields.clear()
            start_response("200 Inner", [*TEXT, ("X-Inner", "yes")])

    attempt(start_response, "200 Outer", [fields[0], Odd(), fields[1]])
    return [b"inner"]


def twice_named(environ, start_response):
    """Gives arguments by position and by name."""
    attempt(start_response, "200 OK", TEXT, status="404 Other")
    attempt(start_response, "200 OK", TEXT, headers=TEXT)
    start_response(status="200 OK", response_headers=TEXT, exc_info=None)
    return [b"named"]


def large_list(environ, start_response):
    """A list that is a hundred megabytes long, all of which are the same one."""
    start_response("200 OK", TEXT)
    return [b"m" * (1 << 20)] * 100


def pid(environ, start_response):
    """The worker's pid."""
    start_response("200 OK", TEXT)
    return [str(os.getpid()).encode()]


def application(environ, start_response):
    """Routes by the path."""
    name = environ["PATH_INFO"].lstrip("/").replace("-", "_") or "hello"
    return globals()[name](environ, start_response)
