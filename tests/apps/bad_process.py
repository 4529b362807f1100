"""An application that does its worst to the process that runs it. The path picks what it does, the query with what."""

import _thread
import asyncio
import atexit
import builtins
import ctypes
import gc
import io
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

from bad import body, fail, hold, pid, said

__all__ = ["application", "body", "fail", "hold", "pid"]

TEXT = [("Content-Type", "text/plain")]
#: What has to outlive its request.
KEPT = []

def handle(number, frame):
    """Tells the test of the one signal that this sends; and fails, if the test wants that."""
    if number == signal.SIGUSR1:
        Path(os.environ["BAD_HANDLED"]).touch()
        if os.environ["BAD_AT_IMPORT"] == "raises":
            raise RuntimeError("a handler that fails")


if "BAD_AT_IMPORT" in os.environ:
    # Handlers can be set in the main thread only, which requests need not run in.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN if os.environ["BAD_AT_IMPORT"] == "ignores" else handle)


# Ways for a process to end.


def overflow():
    """Runs over its stack, which CPython does not watch where the application has raised the limit of recursion."""
    sys.setrecursionlimit(1 << 30)
    nested = []
    for _ in range(1_000_000):
        nested = [nested]
    KEPT.append(nested)
    return nested == [nested]


def limit_memory():
    """No memory beyond what is there: the next that wants much fails."""
    in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (8 << 20), resource.RLIM_INFINITY))
    while True:
        KEPT.append(bytearray(1 << 20))


def close_own(kind, close=os.close):
    """Closes what the server has open of a kind, and is not back at once."""
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target == f"anon_inode:[{kind}]" or (kind == "listener" and target.startswith("socket:") and listens(number)):
            close(number)
    time.sleep(0.1)


def replace(number):
    """Gives the number to a connection of the application's own."""
    KEPT.append(socket.socketpair())
    os.dup2(KEPT[-1][0].fileno(), number)


def listens(number):
    """Whether a socket accepts connections."""
    with socket.socket(fileno=os.dup(number)) as copy:
        return copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


ENDS = {
    "exit": lambda: os._exit(7),
    "exit-0": lambda: os._exit(0),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": lambda: signal.raise_signal(signal.SIGSEGV),
    "SIGABRT": os.abort,
    "SIGALRM": lambda: (signal.setitimer(signal.ITIMER_REAL, 0.01), time.sleep(30)),
    "fault": lambda: ctypes.string_at(0),
    "overflow": overflow,
    "closes-all": lambda: os.closerange(3, 1 << 16),
    "closes-all-later": lambda: (time.sleep(0.1), os.closerange(3, 1 << 16)),
    "closes-listeners": lambda: close_own("listener"),
    "replaces-listeners": lambda: close_own("listener", replace),
    "closes-poll": lambda: close_own("eventpoll"),
    "closes-wakes": lambda: close_own("eventfd"),
    "closes-timer": lambda: close_own("timerfd"),
    "execs": lambda: os.execv("/bin/sleep", ["sleep", "60"]),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGQUIT": lambda: os.kill(os.getpid(), signal.SIGQUIT),
}


def ends(environ, start_response):
    """Ends its process, or leaves it in ruins."""
    ENDS[environ["QUERY_STRING"]]()
    return said(start_response)


# Ways never to come back.


def swallow():
    """Python code that catches whatever it is told."""
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


def lock():
    """Waits for itself, in C code."""
    own = threading.Lock()
    own.acquire()
    own.acquire()


FOREVER = {
    "swallows": swallow,
    "locks": lock,
    "sleeps": lambda: time.sleep(3600),
    "stops": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "holds-the-interpreter": lambda: ctypes.PyDLL(None).sleep(3600),
}


def forever(environ, start_response):
    """Never comes back."""
    FOREVER[environ["QUERY_STRING"]]()
    return said(start_response)


def forks(environ, start_response):
    """Forks; the child does what the query says, and the parent answers with its number."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return said(start_response, str(child).encode())
    return {
        "returns": lambda: said(start_response, b"child"),
        "exits": sys.exit,
        "raises": lambda: [][1],
        "leaves": lambda: os._exit(3),
        "writes": lambda: start_response("200 Child", TEXT)(b"child"),
        "yields": lambda: iter([start_response("200 Child", TEXT) and b"child"]),
        "execs": lambda: os.execv("/bin/true", ["true"]),
        "dies": os.abort,
    }[environ["QUERY_STRING"]]()


# What a process can live with.


def raise_in_thread():
    """A thread that nobody waits for raises."""
    thread = threading.Thread(target=lambda: [][1], name="raises")
    thread.start()
    thread.join()


def exit_in_thread():
    """A thread asks for the end."""
    thread = threading.Thread(target=lambda: os.sys.exit(4))
    thread.start()
    thread.join()


def trace():
    """Traces, and fails at it, when it is not needed any more."""
    def tracer(frame, event, argument):
        if KEPT:
            raise RuntimeError("a tracer that fails")
        return tracer

    sys.settrace(tracer)
    threading.settrace(tracer)
    KEPT.append(tracer)


def profile():
    """Profiles each call."""
    sys.setprofile(lambda frame, event, argument: KEPT.append(event) if len(KEPT) < 1000 else None)


def leave_directory():
    """Works in a folder that is gone."""
    path = f"/tmp/tapster-test-gone-{os.getpid()}"
    os.mkdir(path)
    os.chdir(path)
    os.rmdir(path)


def clobber_modules():
    """Other functions in the place of the standard library's."""
    def broken(*arguments, **named):
        raise RuntimeError("patched")

    for module, names in (
        (io, ["open", "BytesIO", "BufferedReader"]),
        (time, ["time", "monotonic", "sleep"]),
        (threading, ["Thread", "current_thread", "get_ident", "enumerate"]),
        (traceback, ["format_exception", "extract_stack", "format_list"]),
        (gc, ["freeze", "collect"]),
        (asyncio, ["run"]),
    ):
        for name in names:
            setattr(module, name, broken)


def interrupt_threads():
    """Has an exception raised in every thread, whenever that runs next."""
    for ident in list(sys._current_frames()):
        if ident != threading.get_ident():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(InterruptedError))


def clear_prepared():
    """Finds the server's own dicts among all objects, and empties them."""
    for found in gc.get_objects():
        if type(found) is dict and "wsgi.version" in found and "REQUEST_METHOD" in found:
            found.clear()


def keep_functions():
    """Finds all of the server's functions, and calls them."""
    for found in gc.get_objects():
        if type(found) is type(len) and found.__name__ in ("start_response", "write", "early_hints"):
            KEPT.append(found)
            try:
                found([])
            except Exception:
                continue


DOES = {
    "closes-stdout": lambda: sys.stdout.close(),
    "closes-stderr": lambda: sys.stderr.close(),
    "closes-0": lambda: os.close(0),
    "closes-1": lambda: os.close(1),
    "closes-2": lambda: os.close(2),
    "closes-0-1-2": lambda: os.closerange(0, 3),
    "no-streams": lambda: setattr(sys, "stdout", None) or setattr(sys, "stderr", None),
    "odd-streams": lambda: setattr(sys, "stdout", 5) or setattr(sys, "stderr", object()),
    "thread-raises": raise_in_thread,
    "thread-exits": exit_in_thread,
    "thread-stays": lambda: threading.Thread(target=time.sleep, args=(3600,)).start(),
    "daemon-stays": lambda: threading.Thread(target=time.sleep, args=(3600,), daemon=True).start(),
    "interrupts-main": _thread.interrupt_main,
    "interrupts-threads": interrupt_threads,
    "recursion-limit": lambda: sys.setrecursionlimit(1_000_000),
    "switch-interval": lambda: sys.setswitchinterval(60),
    "traces": trace,
    "profiles": profile,
    "no-gc": gc.disable,
    "gc-debug": lambda: gc.set_debug(gc.DEBUG_SAVEALL),
    "gone-directory": leave_directory,
    "session": os.setsid,
    "umask": lambda: os.umask(0o777),
    "environment": os.environ.clear,
    "no-path": lambda: sys.path.clear(),
    "no-memory": limit_memory,
    "blocks-signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
    "no-module": lambda: sys.modules.pop("tapster", None),
    "no-modules": lambda: sys.modules.clear(),
    "no-import": lambda: setattr(builtins, "__import__", None),
    "clobbers-modules": clobber_modules,
    "clears-prepared": clear_prepared,
    "keeps-functions": keep_functions,
    "asyncio": lambda: asyncio.run(asyncio.sleep(0.01)),
    "atexit-exits": lambda: atexit.register(sys.exit, 5),
    "atexit-raises": lambda: atexit.register(lambda: [][1]),
    "atexit-dies": lambda: atexit.register(os._exit, 5),
    "atexit-hangs": lambda: atexit.register(time.sleep, 3600),
    "excepthooks": lambda: setattr(sys, "excepthook", None) or setattr(threading, "excepthook", None),
}


def does(environ, start_response):
    """Does something to its process, and answers as if nothing had been."""
    DOES[environ["QUERY_STRING"]]()
    return said(start_response)


def closes_input(environ, start_response):
    """Closes what it reads from."""
    environ["wsgi.input"].close()
    return said(start_response)


def sleeps(environ, start_response):
    """Takes that long, in pieces, so that an exception from outside has its moments."""
    until = time.monotonic() + float(environ["QUERY_STRING"])
    while time.monotonic() < until:
        time.sleep(0.01)
    return said(start_response)


def closes_errors(environ, start_response):
    """Closes what it complains to."""
    environ["wsgi.errors"].close()
    return said(start_response)


def clears_environ(environ, start_response):
    """Leaves nothing of environ, but something odd."""
    environ.clear()
    environ[5] = environ
    return said(start_response)


def complains(environ, start_response):
    """Writes to wsgi.errors and to both streams."""
    environ["wsgi.errors"].write(f"complaint {environ['QUERY_STRING']}\n")
    environ["wsgi.errors"].flush()
    return said(start_response)


def prints(environ, start_response):
    """Prints much to the standard output stream, as a forgotten line of debugging does."""
    try:
        print(f"printed {environ['QUERY_STRING']}", flush=True)
        os.write(1, b"printed by number\n")
    except OSError:
        return said(start_response, b"not printed")
    return said(start_response)


def application(environ, start_response):
    """Routes by the path."""
    return globals()[environ["PATH_INFO"].strip("/").replace("-", "_")](environ, start_response)
