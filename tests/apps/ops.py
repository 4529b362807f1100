"""An application that does to its own process what applications do by accident; the path says what, as JSON comes back
what it found out about the process."""

import ctypes
import gc
import json
import mmap
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

IMPORTED_BY = os.getpid()
IMPORTED_THREAD = threading.current_thread().name
FORKED = []
HOARD = []
os.register_at_fork(after_in_child=lambda: FORKED.append(os.getpid()))

if "OPS_IMPORTS" in os.environ:
    with open(os.environ["OPS_IMPORTS"], "a") as imports:
        imports.write(f"{os.getpid()}\n")
if "OPS_FAIL_IF" in os.environ and os.path.exists(os.environ["OPS_FAIL_IF"]):
    raise ImportError("told to fail at import")
if "OPS_DIE_IF" in os.environ and os.path.exists(os.environ["OPS_DIE_IF"]):
    os._exit(9)
if "OPS_THREAD" in os.environ:
    threading.Thread(target=time.sleep, args=(3600,), name="started-at-import", daemon=True).start()
time.sleep(float(os.environ.get("OPS_SLEEP_AT_IMPORT", "0")))

# The folder of descriptors is itself one while it is listed, and none when it is asked about.
CHILD = """
import json, os
numbers = os.listdir("/proc/self/fd")
files = {each: os.readlink(f"/proc/self/fd/{each}") for each in numbers if os.path.exists(f"/proc/self/fd/{each}")}
print(json.dumps({"status": open("/proc/self/status").read(), "files": files}))
"""


def about(query):
    """What there is to know of this process."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "imported_by": IMPORTED_BY,
        "imported_thread": IMPORTED_THREAD,
        "forked": FORKED,
        "frozen": gc.get_freeze_count(),
        "gc": gc.isenabled(),
        "random": random.random(),
        "main_thread": threading.current_thread() is threading.main_thread(),
        "environment": dict(os.environ),
        "cwd": os.getcwd(),
        "path": sys.path,
    }


def sleep(query):
    """Takes `seconds` (before the comma), once it has made the file after the comma."""
    seconds, _, path = query.partition(",")
    if path:
        Path(path).touch()
    time.sleep(float(seconds))
    return os.getpid()


def spin(query):
    """The same without ever leaving the interpreter."""
    end = time.monotonic() + float(query)
    while time.monotonic() < end:
        pass
    return os.getpid()


def exit_now(query):
    """Ends the process under the server's feet."""
    os._exit(int(query or 0))


def system_exit(query):
    """Asks Python to end."""
    sys.exit(int(query or 0))


def keyboard_interrupt(query):
    """What a Ctrl-C in a console raises."""
    raise KeyboardInterrupt


def deep(query):
    """Recurses until Python says stop."""
    return deep(query)


def orphan(query):
    """Leaves a process behind, as a daemon that forks twice does; it lives for so many seconds."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild:
            os.write(write, str(grandchild).encode())
            os._exit(0)
        time.sleep(float(query))
        os._exit(7)
    os.waitpid(child, 0)
    return int(os.read(read, 20))


def orphans(query):
    """Leaves so many processes behind, which all end at once."""
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(write)
        for _ in range(int(query)):
            if os.fork() == 0:
                os.read(read, 1)
                os._exit(7)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(between, 0)[1])
    os.close(read)
    os.close(write)
    return status


def child(query):
    """What a subprocess started without any care finds: its signals and its open files."""
    done = subprocess.run([sys.executable, "-S", "-c", CHILD], capture_output=True, close_fds=False, check=True)
    return json.loads(done.stdout)


def python_child(query):
    """What sys.executable says as a subprocess."""
    script = "import sys; print(sys.prefix)"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def segfault(query):
    """Reads where nothing is."""
    ctypes.string_at(0)


def hoard(query):
    """Takes so many MiB of memory, for good."""
    HOARD.append(bytearray(int(query) << 20))
    for each in HOARD:
        each[:: mmap.PAGESIZE] = b"x" * len(each[:: mmap.PAGESIZE])
    return os.getpid()


_VERBS = {
    "hello": lambda query: "hello",
    "pid": lambda query: os.getpid(),
    "about": about,
    "sleep": sleep,
    "spin": spin,
    "exit": exit_now,
    "system-exit": system_exit,
    "keyboard-interrupt": keyboard_interrupt,
    "deep": deep,
    "segfault": segfault,
    "hoard": hoard,
    "abort": lambda query: os.abort(),
    "complain": lambda query: os.getpid(),
    "orphan": orphan,
    "orphans": orphans,
    "child": child,
    "python-child": python_child,
}


def application(environ, start_response):
    """Does what the path says and answers as JSON."""
    if environ["PATH_INFO"] == "/complain":
        print(environ["QUERY_STRING"], file=environ["wsgi.errors"])
    verb = _VERBS[environ["PATH_INFO"].strip("/") or "hello"]
    data = json.dumps(verb(environ["QUERY_STRING"])).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]
