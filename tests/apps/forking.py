"""An application that forks, in all the ways that there are. The path says how, the query what the child then does."""

import ctypes
import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import threading
import time

TEXT = [("Content-Type", "text/plain")]
MULTIPROCESSING = multiprocessing.get_context("fork")


def stay(*_):
    """What a child does that is to be ended."""
    time.sleep(60)


def fork_in_handler(*_):
    """A signal handler whose child comes back to where the signal found its parent."""
    child = os.fork()
    if child:
        with open(os.environ["FORKING_CHILD"], "w") as file:
            file.write(f"{child}\n")


if "FORKING_HANDLES" in os.environ:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    # The handler of a library, of which the module `signal` does not know.
    faulthandler.register(signal.SIGUSR2, file=open(os.devnull, "w"))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "FORKING_CHILD" in os.environ:
    signal.signal(signal.SIGUSR1, fork_in_handler)
#: A process that was there before the workers, where the application is preloaded.
EARLY = MULTIPROCESSING.Process(target=stay, daemon=True) if "FORKING_EARLY" in os.environ else None
if EARLY:
    EARLY.start()


def forked_by_pty():
    """The child of a terminal."""
    child, terminal = os.forkpty()
    if child:
        time.sleep(0.2)
        os.close(terminal)
    return child


FORKS = {
    "os": os.fork,
    "pty": forked_by_pty,
    # A C library's: Python does not hear of it.
    "c": lambda: ctypes.PyDLL(None).fork(),
}


class Keeping:
    """A stream that never gets flushed, and keeps the interpreter's lock meanwhile."""

    def flush(self):
        """Waits in C code that does not give the lock away."""
        ctypes.PyDLL(None).pause()


def fork(environ, start_response):
    """Forks a child that stays, or that does what the query says; tells its number."""
    how, _, what = environ["QUERY_STRING"].partition(",")
    child = FORKS[how]()
    if child:
        if what != "stays":
            os.waitpid(child, 0)
        return reply(start_response, child)
    if what == "stays":
        stay()
    write = start_response("200 Child", TEXT)
    if what == "keeps":
        sys.stderr = Keeping()
    if what in ("returns", "keeps"):
        return [b"child"]
    told = {}
    for name, send in (
        ("write", lambda: write(b"child")),
        ("early_hints", lambda: environ["wsgi.early_hints"]([("Link", "</child>; rel=preload")])),
    ):
        try:
            send()
        except Exception as error:
            told[name] = f"{type(error).__name__}: {error}"
    with open(what, "w") as file:
        json.dump(told, file)
    os._exit(0)


def many(environ, start_response):
    """Forks so many children that come back, one after the other; tells how they ended."""
    ends = []
    for _ in range(int(environ["QUERY_STRING"])):
        child = os.fork()
        if not child:
            return reply(start_response, "child")
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return reply(start_response, ends)


def early(environ, start_response):
    """The process that was there before."""
    return reply(start_response, EARLY.pid)


def terminated(environ, start_response):
    """How processes end that are terminated as soon as they are there."""
    ends = []
    for _ in range(int(environ["QUERY_STRING"])):
        process = MULTIPROCESSING.Process(target=stay)
        process.start()
        process.terminate()
        process.join(10)
        ends.append(process.exitcode)
        process.kill()
    return reply(start_response, ends)


def in_thread(environ, start_response):
    """A process that a thread of the application's forks; the thread's own end is the child's."""
    told = []
    thread = threading.Thread(target=lambda: told.append(os.fork()))
    thread.start()
    thread.join()
    return reply(start_response, told[0])


def reap(environ, start_response):
    """Waits for a child."""
    return reply(start_response, os.waitstatus_to_exitcode(os.waitpid(int(environ["QUERY_STRING"]), 0)[1]))


def fail(environ, start_response):
    """Fails, with much to be told."""
    raise RuntimeError("much " * 20_000)


def pid(environ, start_response):
    """Who serves."""
    return reply(start_response, os.getpid())


def reply(start_response, what):
    """As JSON."""
    start_response("200 OK", TEXT)
    return [json.dumps(what).encode()]


def application(environ, start_response):
    """Routes by the path."""
    name = environ["PATH_INFO"].strip("/").replace("-", "_")
    return getattr(sys.modules[__name__], name)(environ, start_response)
