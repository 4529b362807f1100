"""How the application is called, and the environ that it is given."""

import os
import threading
import time

from . import folder, note, plain, report, route, text

#: Of the latest call: how many positional arguments, and the names of the others.
ARGUMENTS = [0, []]
_lock = threading.Lock()
_inside = [0]


@route
def ready(environ, start_response):
    """Answers with the process's number."""
    return text(start_response, str(os.getpid()).encode())


@route
def call_arguments(environ, start_response):
    """How it was called."""
    return report(start_response, ARGUMENTS)


@route
def count(environ, start_response):
    """Notes each call."""
    note(folder(environ), "called")
    plain(start_response)
    return [b"one,", b"two"]


@route
def environ(environ, start_response):
    """The environ: of each key its value's type, and the value, as text where it is none that JSON has."""
    seen = {
        "type": [type(environ).__module__, type(environ).__name__],
        "keys": {str(key): [type(value).__name__, _shown(value)] for key, value in environ.items()},
        "odd keys": [repr(key) for key in environ if type(key) is not str],
        "process": sorted(os.environ),
    }
    return report(start_response, seen)


def _shown(value):
    return value if type(value) in (str, bool, int) else repr(value)


@route
def environ_emptied(environ, start_response):
    """Does with the environ as it likes."""
    environ.clear()
    environ["left.behind"] = environ["REQUEST_METHOD"] = [1]
    environ[b"bytes"] = environ[3] = None
    return text(start_response, b"emptied")


@route
def overlap(environ, start_response):
    """How many calls there are in this process while this one runs; it takes a while."""
    with _lock:
        _inside[0] += 1
    most = 0
    for _ in range(30):
        most = max(most, _inside[0])
        time.sleep(0.01)
    with _lock:
        _inside[0] -= 1
    return report(start_response, {"most": most, "multithread": bool(environ["wsgi.multithread"])})
