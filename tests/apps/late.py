"""An application that takes too long, in the ways that there are; the path says which, the query is the name under which it
notes how it was interrupted. What does not take long is `crowd`'s."""

import contextlib
import functools
import json
import random
import sys
import threading
import time

import crowd
import tapster

NOTES = crowd.NOTES


def hang_between_instructions(seconds=60.0):
    """Waits in pieces, between which Python can interrupt it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.002)


def hang_in_python(seconds=60.0):
    """Runs Python code and nothing else."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def hang_in_c(seconds=60.0):
    """Waits in one piece, which Python can't interrupt."""
    time.sleep(seconds)


def noting(name, hang, *arguments):
    """Notes what ends the hanging, and that code in `finally` runs."""
    begun = time.monotonic()
    try:
        hang(*arguments)
    except BaseException as error:
        right = isinstance(error, tapster.RequestTimeout) and not isinstance(error, Exception)
        NOTES.append([name, f"{type(error).__module__}.{type(error).__name__}" if right else repr(error)])
        raise
    finally:
        NOTES.append([name, "finally", round(time.monotonic() - begun, 3)])


def answer(start_response, body, *fields):
    """A whole reply."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *fields])
    return [body]


def hanging(hang, environ, start_response):
    """Hangs before there is anything of a reply; a name that is a path becomes a file."""
    name = environ["QUERY_STRING"]
    if name.startswith("/"):
        open(name, "w").close()
    noting(name, hang)
    return answer(start_response, b"after all")


def begun(environ, start_response):
    """Hangs when a part of the reply has been sent; with a length where there is a query."""
    name = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Length", "100")] if name else [])
    yield b"first"
    noting(name, hang_between_instructions)
    yield b"second"


class Closing:
    """A body of some blocks whose close() hangs."""

    def __init__(self, name, *blocks):
        self.name, self.blocks = name, blocks

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        """Hangs; a name that is a path becomes a file."""
        if self.name.startswith("/"):
            open(self.name, "w").close()
        noting(self.name, hang_between_instructions)


def closing(environ, start_response):
    """Hangs behind a reply that is whole."""
    start_response("200 OK", [])
    return Closing(environ["QUERY_STRING"], b"whole")


def closing_large(environ, start_response):
    """The same behind one that no socket's buffers hold; with a length where there is a query."""
    name, block = environ["QUERY_STRING"], b"l" * (1 << 20)
    start_response("200 OK", [("Content-Length", str(24 << 20))] if name else [])
    return Closing(name, *[block] * 24)


def written(environ, start_response):
    """Hangs when all of the declared length has been sent: in the call, or before the end of the iteration."""
    name = environ["QUERY_STRING"]
    write = start_response("200 OK", [("Content-Length", "5")])
    if name == "write":
        write(b"whole")
        noting(name, hang_between_instructions)
        return []

    def blocks():
        yield b"whole"
        noting(name, hang_between_instructions)

    return blocks()


def ticks(environ, start_response):
    """A block now and then, so many times in so many seconds each."""
    count, seconds = environ["QUERY_STRING"].split(",")
    start_response("200 OK", [])
    for _ in range(int(count)):
        time.sleep(float(seconds))
        yield b"tick,"


def ticks_until(environ, start_response):
    """A block now and then, until the gate is open."""
    path = f"{environ['QUERY_STRING']}.open"
    start_response("200 OK", [])
    yield b"tick,"
    with open(path, "rb") as page:
        while page.read(1) == b"\0":
            page.seek(0)
            time.sleep(0.05)
            yield b"tick,"
    yield json.dumps(crowd.who(environ, "")["pid"]).encode()


def stubborn(environ, start_response):
    """Takes no notice of being interrupted, stays at a gate, and answers."""
    try:
        hang_between_instructions()
    except BaseException as error:
        NOTES.append(type(error).__name__)
    crowd.at_gate(environ["QUERY_STRING"])
    start_response("200 Late", [("Content-Type", "text/plain")])
    yield b"late" * 10_000
    NOTES.append("went on")
    yield b"later"


def where(environ, start_response):
    """Hangs, and notes the thread in which it is interrupted."""
    try:
        hang_between_instructions()
    except tapster.RequestTimeout:
        NOTES.append([environ["QUERY_STRING"], crowd.thread_name()])
        raise
    return answer(start_response, b"after all")


def leave_behind(environ, start_response):
    """Leaves a thread behind that stays at one gate after the other, of which the server is not told."""
    threading.Thread(target=crowd.stay, args=(environ, environ["QUERY_STRING"]), daemon=True).start()
    return answer(start_response, b"left")


def swallow(environ, start_response):
    """Hangs in code that goes on after every Exception."""
    while True:
        try:
            noting(environ["QUERY_STRING"], hang_between_instructions)
        except Exception:
            pass


def about(environ, start_response):
    """Takes about so many seconds, this way or that."""
    seconds = float(environ["QUERY_STRING"].partition(",")[0])
    hang = random.choice([hang_between_instructions, hang_in_python, hang_in_c])
    return noting_all(environ, start_response, hang, seconds * random.uniform(0.9, 1.4))


def quick(environ, start_response):
    """Takes no time."""
    return noting_all(environ, start_response, sum, range(2000))


def noting_all(environ, start_response, function, argument):
    """Answers with the query after a call, and notes each request that is interrupted."""
    try:
        function(argument)
        return answer(start_response, environ["QUERY_STRING"].encode())
    except tapster.RequestTimeout:
        NOTES.append(f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        raise


class ClosingInC:
    """A body whose close() is no Python code, so that nothing is raised in it, nor behind it."""

    close = functools.partial(time.sleep, 1.5)

    def __iter__(self):
        return iter([b"whole"])


def closing_in_c(environ, start_response):
    """Ends in C code, later than it may."""
    start_response("200 OK", [])
    return ClosingInC()


class ClosingStuck(ClosingInC):
    """The same for a minute."""

    close = functools.partial(time.sleep, 60)


def closing_stuck(environ, start_response):
    """Stays in C code behind a reply that is whole."""
    start_response("200 OK", [])
    return ClosingStuck()


def pushed(environ, start_response):
    """So many blocks of so many bytes, as fast as they are taken."""
    count, size = map(int, environ["QUERY_STRING"].split(","))
    start_response("200 OK", [])
    return (b"p" * size for _ in range(count))


def profiled(environ, start_response):
    """Has Python call functions for whatever happens, which needs it to get on."""
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    sys.settrace(lambda frame, event, argument: calls.append(event))
    try:
        sum(range(10))
        sum(number for number in range(10))
    finally:
        sys.settrace(None)
        sys.setprofile(None)
    return answer(start_response, b"profiled" if "c_call" in calls and "call" in calls else b"not profiled")


def swallow_once(environ, start_response):
    """Hangs, and takes no notice of being interrupted."""
    with contextlib.suppress(BaseException):
        noting(environ["QUERY_STRING"], hang_between_instructions)
    # If it were raised once more, it would be here.
    hang_in_python(0.05)
    NOTES.append("went on")
    return answer(start_response, b"after all")


SHAPES = {
    "between": functools.partial(hanging, hang_between_instructions),
    "python": functools.partial(hanging, hang_in_python),
    "c": functools.partial(hanging, hang_in_c),
    "c-for-a-while": functools.partial(hanging, functools.partial(hang_in_c, 3.0)),
    "begun": begun,
    "closing": closing,
    "closing-large": closing_large,
    "closing-stuck": closing_stuck,
    "written": written,
    "closing-in-c": closing_in_c,
    "ticks": ticks,
    "ticks-until": ticks_until,
    "stubborn": stubborn,
    "where": where,
    "leave-behind": leave_behind,
    "swallow": swallow,
    "swallow-once": swallow_once,
    "profiled": profiled,
    "about": about,
    "quick": quick,
    "pushed": pushed,
}


def application(environ, start_response):
    """Does what the path says."""
    shape = SHAPES.get(environ["PATH_INFO"].strip("/"), crowd.application)
    return shape(environ, start_response)
