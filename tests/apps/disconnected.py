"""Asks whether its client is still there. The path picks when."""

import json
import threading
import time
from pathlib import Path

ASK = "tapster.client_disconnected"
TEXT = [("Content-Type", "text/plain")]
KEPT = []


def attempt(function):
    """How a call goes, as text."""
    try:
        return repr(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def answer(start_response, *outcomes):
    """Answers how calls went, as JSON."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(outcomes).encode()]


def hello(environ, start_response):
    """Does not ask."""
    start_response("200 OK", TEXT)
    return [b"hello"]


def there(environ, start_response):
    """Asks in the call, and before and after a block."""
    ask = environ[ASK]
    first = ask()
    start_response("200 OK", TEXT)
    yield f"{first!r},".encode()
    yield f"{ask()!r},".encode()
    yield f"{ask()!r}".encode()


def wait(environ, start_response):
    """Touches the file in the query, and asks until the client is gone; then writes there how that went."""
    note, ask = Path(environ["QUERY_STRING"]), environ[ASK]
    note.touch()
    deadline = time.monotonic() + 10
    while not (gone := ask()) and time.monotonic() < deadline:
        time.sleep(0.01)
    note.write_text(repr(gone))
    start_response("200 OK", TEXT)
    return [b"waited"]


class Body:
    """A body that asks in close(), and notes the answer in a file."""

    def __init__(self, environ):
        self.ask, self.note = environ[ASK], Path(environ["QUERY_STRING"])

    def __iter__(self):
        return iter([b"body"])

    def close(self):
        """Asks."""
        self.note.write_text(attempt(self.ask))


def in_close(environ, start_response):
    """Asks in close()."""
    start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    return Body(environ)


def from_thread(environ, start_response):
    """Another thread asks, while the application's own waits for it."""
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(attempt(environ[ASK])))
    thread.start()
    thread.join()
    return answer(start_response, *outcomes)


def keep(environ, start_response):
    """Keeps the function, or the environ with it."""
    KEPT.append(environ if environ["QUERY_STRING"] == "environ" else {ASK: environ[ASK]})
    return answer(start_response, "kept")


def keep_in_cycle(environ, start_response):
    """Leaves its environ to the garbage collector, as frameworks do."""
    environ["mine"] = environ
    return answer(start_response, attempt(environ[ASK]))


def ask_kept(environ, start_response):
    """Asks what was kept, here and in another thread; tells its own answer first."""
    outcomes = [attempt(environ[ASK]), *(attempt(kept[ASK]) for kept in KEPT)]
    thread = threading.Thread(target=lambda: outcomes.extend(attempt(kept[ASK]) for kept in KEPT))
    thread.start()
    thread.join()
    KEPT.clear()
    return answer(start_response, *outcomes)


def replaced(environ, start_response):
    """Puts something of its own in the function's place, and keeps the environ."""
    environ[ASK] = environ["wsgi.early_hints"] = "mine"
    KEPT.append(environ)
    return answer(start_response, "replaced")


def is_mine(environ, start_response):
    """Whether what it has put there is still there."""
    kept = KEPT.pop()
    return answer(start_response, kept[ASK], kept["wsgi.early_hints"])


def application(environ, start_response):
    """Routes by the path."""
    name = environ["PATH_INFO"].lstrip("/").replace("-", "_")
    return globals()[name](environ, start_response)
