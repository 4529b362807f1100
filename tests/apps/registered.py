"""Registers functions with the module `tapster`, and notes in the file that REGISTERED names when each is called, and where.

FAIL names one that fails: by an exception, or by leaving.
"""

import os
import sys
import threading

import tapster

TEXT = [("Content-Type", "text/plain")]


def note(event):
    """Adds a line: the event, the process and whether this is its main thread."""
    with open(os.environ["REGISTERED"], "a") as file:
        file.write(f"{event} {os.getpid()} {threading.current_thread() is threading.main_thread()}\n")


def failing(name):
    """Fails where FAIL says so."""
    how, _, which = os.environ.get("FAIL", "").partition(":")
    if which == name:
        if how == "leave":
            sys.exit(0)
        raise RuntimeError(f"{name} fails")


note("import")


@tapster.post_fork
def first():
    """With the plain form."""
    note("first")
    failing("first")


@tapster.post_fork()
def second():
    """With parentheses."""
    note("second")


class Pool:
    """Something with methods to call."""

    def __init__(self, name):
        self.name = name

    def open(self):
        """Notes the pool's name."""
        note(f"open-{self.name}")


for pool in (Pool("a"), Pool("b")):
    tapster.post_fork(pool.open)
    tapster.worker_exit(lambda name=pool.name: note(f"close-{name}"))


@tapster.worker_exit
def early():
    """Registered before the other, so called after it."""
    note("early")
    failing("early")


@tapster.worker_exit()
def late():
    """Registered last."""
    note("late")
    failing("late")


def application(environ, start_response):
    """Tells the pid and what the module is; or raises RequestTimeout, at a place that the path says."""
    path = environ["PATH_INFO"]
    if path == "/raise-in-call":
        raise tapster.RequestTimeout
    if path == "/raise-in-body":
        return raising_body(start_response)
    if path == "/raise-in-close":
        return RaisingClose(start_response)
    start_response("200 OK", TEXT)
    return [f"{os.getpid()} {tapster.__version__} {tapster.__name__}".encode()]


def raising_body(start_response):
    """Raises it behind a part of the body."""
    start_response("200 OK", TEXT)
    yield b"part"
    raise tapster.RequestTimeout


class RaisingClose:
    """Raises it when all has been sent."""

    def __init__(self, start_response):
        start_response("200 OK", [*TEXT, ("Content-Length", "4")])

    def __iter__(self):
        return iter([b"body"])

    def close(self):
        """Raises it."""
        raise tapster.RequestTimeout
