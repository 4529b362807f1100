"""An application that shows how a worker's threads share it: requests that meet in it, that stay until a test lets them go,
and that tell which thread they ran in. The path says what, the query how; what comes back is JSON, unless it is said."""

import atexit
import ctypes
import fcntl
import hashlib
import json
import mmap
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import tapster

#: What requests have left for a later one to ask about.
NOTES = []
BARRIERS = {}
LENT = []
LOCAL = threading.local()
_lock = threading.Lock()


def note_in_file(text):
    """Adds a line to the file that the test has named."""
    with open(os.environ["CROWD_NOTES"], "a") as notes:
        notes.write(f"{text}\n")


if "CROWD_NOTES" in os.environ:
    signal.signal(signal.SIGUSR1, lambda *_: note_in_file(f"signal in {threading.current_thread().name}"))
    atexit.register(note_in_file, "atexit")
    tapster.worker_exit(lambda: note_in_file("worker_exit"))
if "CROWD_WAKEUP" in os.environ:
    how, _, number = os.environ["CROWD_WAKEUP"].partition(",")
    WOKEN, WAKES = socket.socketpair()
    WAKES.setblocking(False)
    # Where a number is given, all between the first one and that many later are free in the end.
    lower, WAKES = WAKES, socket.socket(fileno=fcntl.fcntl(WAKES.fileno(), fcntl.F_DUPFD, WAKES.fileno() + int(number or 0)))
    lower.close()
    signal.set_wakeup_fd(WAKES.fileno())
    if how == "closed":
        WAKES.close()
    elif how == "blocking":
        WAKES.setblocking(True)
if "CROWD_EXIT" in os.environ:
    # One that takes its time, of each kind.
    tapster.worker_exit(lambda: (time.sleep(float(os.environ["CROWD_EXIT"])), note_in_file("worker_exit took long")))
    atexit.register(lambda: (time.sleep(float(os.environ["CROWD_EXIT"])), note_in_file("atexit took long")))
if "CROWD_GATE" in os.environ:
    signal.signal(signal.SIGUSR2, lambda *_: at_gate(os.environ["CROWD_GATE"]))


def thread_name():
    """This thread's name."""
    return threading.current_thread().name


def who(environ, query):
    """Where this request runs."""
    return {
        "pid": os.getpid(),
        "thread": thread_name(),
        "ident": threading.get_ident(),
        "native": threading.get_native_id(),
        "multithread": environ["wsgi.multithread"],
        "multiprocess": environ["wsgi.multiprocess"],
    }


def meet(environ, query):
    """Answers once so many requests are in the application together; `alone` where they do not come."""
    with _lock:
        barrier = BARRIERS.setdefault(query, threading.Barrier(int(query)))
    try:
        barrier.wait(20)
    except threading.BrokenBarrierError:
        return "alone"
    return thread_name()


def at_gate(query):
    """Stays until the test lets it go; see harness/gate.py."""
    path, _, how = query.partition(",")
    # At once, even where the test has ended already and nobody is there to write.
    gate = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(gate, True)
    with open(f"{path}.in", "a") as inside:
        inside.write(f"{thread_name()}\n")
    try:
        if how == "spin":
            spin_at(path)
        elif how == "lock":
            # Of a library that is called with the interpreter's lock held.
            while ctypes.PyDLL(None).read(gate, ctypes.create_string_buffer(1), 1) < 0:
                pass
        else:
            os.read(gate, 1)
    finally:
        os.close(gate)


def spin_at(path):
    """Runs Python code and nothing else, until the gate's page says that it is open."""
    with open(f"{path}.open", "rb") as file, mmap.mmap(file.fileno(), 1, access=mmap.ACCESS_READ) as page:
        while not page[0]:
            pass


def stay(environ, query):
    """Stays at a gate, or at one after the other, and tells where it ran."""
    for each in query.split(";"):
        at_gate(each)
    return who(environ, query)


def relieve(environ, query):
    """Lets one go that stays at the first gate, and stays at the second."""
    other, _, own = query.partition(";")
    gate = os.open(other, os.O_WRONLY)
    os.write(gate, b".")
    os.close(gate)
    return stay(environ, own)


def note(environ, query):
    """Notes the query."""
    NOTES.append(query)
    return query


def notes(environ, query):
    """What was noted; forgets it."""
    found = list(NOTES)
    NOTES.clear()
    return found


def local(environ, query):
    """What this thread has kept for itself: its own number, and how often it was here."""
    LOCAL.ident = getattr(LOCAL, "ident", threading.get_ident())
    LOCAL.count = getattr(LOCAL, "count", 0) + 1
    time.sleep(random.random() / 500)
    return [threading.get_ident(), LOCAL.ident, LOCAL.count]


def nap(environ, query):
    """Takes so many seconds."""
    time.sleep(float(query))
    return query


def digest(environ, query):
    """The length and the checksum of the body."""
    data = environ["wsgi.input"].read()
    return [len(data), hashlib.sha256(data).hexdigest()]


def children(environ, query):
    """Runs a program and tells what it said."""
    command = [sys.executable, "-S", "-c", f"print({query} * 2)"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def fork(environ, query):
    """Forks a child that comes back into the server, says something meanwhile if it shall, and tells how the child ended."""
    child = os.fork()
    if child:
        if query:
            print(query, file=sys.stderr)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "from the child"


def leave_thread(environ, query):
    """Starts a thread that works for a while, `daemon` or not; the server is not told of it."""
    kind, _, seconds = query.partition(",")

    def work():
        time.sleep(float(seconds))
        note_in_file(f"{kind} is through")

    threading.Thread(target=work, daemon=kind == "daemon").start()
    return kind


def woken(environ, query):
    """The signals that Python has told the application of."""
    return list(WOKEN.recv(100))


VERBS = {
    "": who,
    "who": who,
    "meet": meet,
    "stay": stay,
    "relieve": relieve,
    "note": note,
    "notes": notes,
    "local": local,
    "nap": nap,
    "digest": digest,
    "children": children,
    "fork": fork,
    "leave-thread": leave_thread,
    "woken": woken,
}


class Blocks:
    """A body whose every step notes which thread it is in."""

    def __init__(self, start_response, query):
        self.steps, self.query = [thread_name()], query
        start_response("200 OK", [("Content-Type", "text/plain")])

    def __iter__(self):
        for _ in range(5):
            time.sleep(0.002)
            self.steps.append(thread_name())
            yield b"block,"

    def close(self):
        """The last step."""
        NOTES.append([self.query, *self.steps, thread_name()])


def blocks(environ, start_response):
    """A body whose steps can be asked about afterwards."""
    return Blocks(start_response, environ["QUERY_STRING"])


def parts(environ, start_response):
    """Gives a block, of so many bytes if that is said, stays at a gate, and gives another."""
    path, _, rest = environ["QUERY_STRING"].partition(",")
    how, _, size = rest.partition(",")
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"x" * int(size) if size else b"first,"
    at_gate(f"{path},{how}")
    yield thread_name().encode()


def give(environ, start_response):
    """So many bytes that follow from the seed: in one piece, or in many without a length."""
    size, seed = map(int, environ["QUERY_STRING"].split(","))
    data = random.Random(seed).randbytes(size)
    if seed % 2:
        start_response("200 OK", [("Content-Length", str(size))])
        return [data]
    start_response("200 OK", [])
    return pieces(data, environ["QUERY_STRING"])


def pieces(data, name):
    """The data bit by bit; notes the name when all of it has been given away."""
    for place in range(0, len(data), 60_000):
        yield data[place : place + 60_000]
    NOTES.append(name)


def lend(environ, start_response):
    """Leaves what its reply is made with to others, and stays at a gate between two blocks."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    LENT[:] = [lambda: write(b"theirs,"), lambda: start_response("500 Theirs", [])]
    write(b"own,")
    at_gate(environ["QUERY_STRING"])
    return [b"own"]


def borrow(environ, start_response):
    """Tries what another request has left, before its own reply begins and after; tells how that went."""
    went = [attempt(each) for each in LENT]
    write = start_response("200 OK", [("Content-Type", "application/json")])
    went += [attempt(each) for each in LENT]
    write(json.dumps(went).encode())
    return []


def attempt(function):
    """How a call went."""
    try:
        function()
    except AssertionError as error:
        return str(error)
    return "accepted"


SHAPES = {"blocks": blocks, "parts": parts, "give": give, "lend": lend, "borrow": borrow}


def application(environ, start_response):
    """Does what the path says."""
    name = environ["PATH_INFO"].strip("/")
    if name in SHAPES:
        return SHAPES[name](environ, start_response)
    data = json.dumps(VERBS[name](environ, environ["QUERY_STRING"])).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


# At the end, since it needs what stands above.
if os.path.exists(os.environ.get("CROWD_IMPORT", "")):
    at_gate(os.environ["CROWD_IMPORT"])
