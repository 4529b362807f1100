"""Sends early hints, rightly and wrongly. The path picks one."""

import json
import threading
import time
from pathlib import Path

TEXT = [("Content-Type", "text/plain")]
LINK = ("Link", "</style.css>; rel=preload; as=style")
#: The functions that requests have kept.
KEPT = []


def attempt(function, *arguments):
    """How a call goes, as text."""
    try:
        return repr(function(*arguments))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def answer(start_response, *outcomes):
    """Answers how calls went, as JSON."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(outcomes).encode()]


def hello(environ, start_response):
    """Sends none."""
    start_response("200 OK", TEXT)
    return [b"hello"]


def one(environ, start_response):
    """Sends one and goes on when the file in the query is there."""
    environ["wsgi.early_hints"]([LINK])
    deadline = time.monotonic() + 5
    gate = environ["QUERY_STRING"]
    while gate and not Path(gate).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    start_response("200 OK", TEXT)
    return [b"final" if not gate or Path(gate).exists() else b"late"]


def if_offered(environ, start_response):
    """Sends one if it may, as a framework might that has heard of them."""
    if "wsgi.early_hints" in environ:
        environ["wsgi.early_hints"]([LINK])
    start_response("200 OK", TEXT)
    return [b"offered" if "wsgi.early_hints" in environ else b"not offered"]


def many(environ, start_response):
    """Sends three, the last when the reply is declared already, in all forms that hold headers."""
    hints = environ["wsgi.early_hints"]
    outcomes = [attempt(hints, [LINK, ("X-Hint", "1")]), attempt(hints, ((f"X-Hint-{n}", "2") for n in range(2)))]
    start_response("200 OK", TEXT)
    outcomes.append(attempt(hints, []))
    return [json.dumps(outcomes).encode()]


def in_generator(environ, start_response):
    """Sends one when the body is asked for, before the reply is declared."""
    environ["wsgi.early_hints"]([LINK])
    start_response("200 OK", TEXT)
    yield b"generated"


def bad(environ, start_response):
    """Gives what is no header."""
    hints = environ["wsgi.early_hints"]
    wrong = [
        [("Link", "a\r\nX-Injected: yes")],
        [("Li nk", "a")],
        [("", "a")],
        [("Link\n", "a")],
        5,
        [5],
        [("Link", 5)],
        [("Link", "\u2713")],
        [("Link",)],
    ]
    return answer(start_response, *(attempt(hints, each) for each in wrong))


def servers_own(environ, start_response):
    """Gives headers that are the server's, or have no place in a hint."""
    hints = environ["wsgi.early_hints"]
    names = ("Connection", "Keep-Alive", "Upgrade", "Transfer-Encoding", "Content-Length")
    return answer(start_response, *(attempt(hints, [(name, "1")]) for name in names))


def too_late(environ, start_response):
    """Sends one after the head."""
    start_response("200 OK", TEXT)(b"first,")
    yield attempt(environ["wsgi.early_hints"], [LINK]).encode()


def from_thread(environ, start_response):
    """Sends one from another thread, while the application's own waits for it."""
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(attempt(environ["wsgi.early_hints"], [LINK])))
    thread.start()
    thread.join()
    return answer(start_response, *outcomes)


def keep(environ, start_response):
    """Keeps its own functions beyond the request, by themselves, or with the whole environ."""
    KEPT.append(environ if environ["QUERY_STRING"] == "environ" else {"wsgi.early_hints": environ["wsgi.early_hints"]})
    return answer(start_response, "kept")


def use_kept(environ, start_response):
    """Uses what was kept, in another request, and tells whether any is this request's."""
    outcomes = [attempt(kept["wsgi.early_hints"], [("X-Stale", "yes")]) for kept in KEPT]
    mine = any(kept["wsgi.early_hints"] is environ["wsgi.early_hints"] for kept in KEPT)
    KEPT.clear()
    return answer(start_response, mine, *outcomes)


def reentered(environ, start_response):
    """Starts its reply while its hints are being read."""
    hints = environ["wsgi.early_hints"]

    def headers():
        yield LINK
        start_response("200 OK", TEXT)(b"sent,")

    outcome = attempt(hints, headers())
    return [outcome.encode()]


def application(environ, start_response):
    """Routes by the path."""
    name = environ["PATH_INFO"].lstrip("/").replace("-", "_")
    return globals()[name](environ, start_response)
