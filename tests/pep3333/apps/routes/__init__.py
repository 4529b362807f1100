"""The routes by name, and what they are written in.

The query of each request is a folder that the test and the application share: facts that must be known without the
reply are lines in files there, and a gate is a file whose coming the application awaits.
"""

import json
import sys
import time
from pathlib import Path

ROUTES = {}
TEXT = ("Content-Type", "text/plain")
#: How long the application waits at a gate: longer than the test waits for what should come before.
GATE_SECONDS = 12.0


def route(function):
    """Registers a function under its name, with dashes."""
    ROUTES[function.__name__.replace("_", "-")] = function
    return function


def plain(start_response, *fields, status="200 OK"):
    """Begins a reply whose length is not declared; returns write()."""
    return start_response(status, [TEXT, *fields])


def text(start_response, body):
    """A whole reply, in the plainest form there is."""
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def report(start_response, value):
    """A whole reply that holds a value as JSON."""
    return text(start_response, json.dumps(value).encode())


def folder(environ):
    """The folder that this request shares with the test."""
    return Path(environ["QUERY_STRING"])


def note(at, name, line="yes"):
    """Notes a fact for the test, a line of a file."""
    with (at / name).open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{line}\n")


def wait_gate(at):
    """Waits until the test opens the gate, or has had time enough to."""
    end = time.monotonic() + GATE_SECONDS
    while not (at / "gate").exists() and time.monotonic() < end:
        time.sleep(0.005)


def note_raised(at, name, function, *arguments):
    """Calls a function, and notes what it raised, or that it raised nothing; whether it raised."""
    try:
        function(*arguments)
    except BaseException as error:
        note(at, name, f"{type(error).__name__}: {error}")
        return True
    note(at, name, "nothing")
    return False


def current_error():
    """sys.exc_info() of an exception that was just raised and caught, as an application's error handler has it."""
    try:
        raise RuntimeError("the application trapped this")
    except RuntimeError:
        return sys.exc_info()


from . import blocks, calls, declared, failures, files, lengths, streams  # noqa: E402, F401  (they register themselves)
