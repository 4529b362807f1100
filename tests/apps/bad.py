"""An application that does wrong what PEP 3333 says of requests and replies. The path picks what, the query how."""

import builtins
import os
import sys
from pathlib import Path
from time import monotonic, sleep

TEXT = [("Content-Type", "text/plain")]


def said(start_response, body=b"said"):
    """A reply as it should be."""
    start_response("200 OK", TEXT)
    return [body]


# What it raises, and where.


class Own(BaseException):
    """Of no known family."""


class Unprintable(Exception):
    """Its message is another mistake."""

    def __str__(self):
        raise ValueError("no text either")

    __repr__ = __str__


class ExitsInText(Exception):
    """Whoever prints it is told to end."""

    def __str__(self):
        sys.exit("printed")

    __repr__ = __str__


def raise_circle():
    """An exception that is its own cause, by way of another."""
    first, second = ValueError("circle"), KeyError("of causes")
    first.__cause__, second.__cause__ = second, first
    raise first


def raise_group():
    """Many at once, where Python knows that."""
    kind = getattr(builtins, "BaseExceptionGroup", None)
    raise kind("a group", [SystemExit(1), ValueError("within")]) if kind else SystemExit("no group")


def raise_error(error):
    """Raises it, as a function."""
    raise error


def recurse():
    """Until Python says stop."""
    return recurse() + 1


RAISES = {
    "SystemExit": lambda: sys.exit(3),
    "SystemExitText": lambda: sys.exit("a text for the console"),
    "KeyboardInterrupt": lambda: raise_error(KeyboardInterrupt()),
    "GeneratorExit": lambda: raise_error(GeneratorExit()),
    "StopAsyncIteration": lambda: raise_error(StopAsyncIteration()),
    "Own": lambda: raise_error(Own("mine")),
    "Unprintable": lambda: raise_error(Unprintable()),
    "ExitsInText": lambda: raise_error(ExitsInText()),
    "RecursionError": recurse,
    "MemoryError": lambda: bytearray(1 << 62),
    "Group": raise_group,
    "Circle": raise_circle,
    "Huge": lambda: raise_error(ValueError("huge " * 1_000_000)),
    "BrokenPipe": lambda: raise_error(BrokenPipeError("a pipe of my own")),
    "StopIteration": lambda: raise_error(StopIteration("odd")),
    "Timeout": lambda: raise_error(sys.modules["tapster"].RequestTimeout()),
}


class Blocks:
    """A body that fails at one of its blocks, or at its end."""

    def __init__(self, fail, place):
        self.fail, self.place, self.given = fail, place, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == self.place:
            self.fail()
        self.given += 1
        if self.given > 2:
            raise StopIteration
        return b"block"

    def close(self):
        """Fails as well, if it is its turn."""
        if self.place == "close":
            self.fail()


def raises(environ, start_response):
    """Raises: in the call, at the first block, behind it, or in close()."""
    where, _, what = environ["QUERY_STRING"].partition(",")
    if where == "call":
        RAISES[what]()
    start_response("200 OK", TEXT)
    return Blocks(RAISES[what], {"first": 0, "later": 1, "close": "close"}[where])


# What it returns and yields.


class Iterable:
    """A body with one part of it made to order."""

    def __init__(self, parts=(b"part", b"part"), iterate=None, **more):
        self._iterate = iterate or (lambda: iter(parts))
        self.__dict__.update(more)

    def __iter__(self):
        return self._iterate()


class NoNext:
    """An iterator that can't."""

    __next__ = None

    def __iter__(self):
        return self


class AfterTheEnd:
    """An iterator that has an end and then goes on."""

    def __init__(self):
        self.parts = iter([b"part", StopIteration, b"beyond", StopIteration])

    def __iter__(self):
        return self

    def __next__(self):
        part = next(self.parts)
        if part is StopIteration:
            raise StopIteration
        return part


class Lies(list):
    """A list that says another length, and other items."""

    def __len__(self):
        return 1

    def __iter__(self):
        return iter([b"part", b"part"])


class Bytes(bytes):
    """Bytes that would like to be others."""

    def __len__(self):
        return 1 << 40

    def __bytes__(self):
        return b"other"


class BadClose(Iterable):
    """Its close can't even be looked up."""

    @property
    def close(self):
        """Fails."""
        raise RuntimeError("no close here")


def generator(*steps):
    """Yields bytes, calls what can be called."""
    for step in steps:
        if callable(step):
            step()
        else:
            yield step


def clinging():
    """A generator that will not be closed."""
    try:
        yield b"part"
        yield b"part"
    finally:
        yield b"more"


def running():
    """A generator that closes itself, with the thread in it."""
    made = generator(b"part", lambda: made.close(), b"part")
    return made


def mutating():
    """A list that its own iterator changes."""
    parts = [b"part"] * 2
    return Iterable(iterate=lambda: generator(b"part", lambda: parts.clear(), *parts))


async def coroutine():
    """Is never awaited."""


RETURNS = {
    "None": lambda: None,
    "int": lambda: 5,
    "str": lambda: "text",
    "dict": lambda: {"a": 1},
    "bytes": lambda: b"bytes",
    "object": object,
    "function": lambda: recurse,
    "coroutine": coroutine,
    "class": lambda: Iterable,
    "yields-str": lambda: generator("text"),
    "yields-None": lambda: generator(None),
    "yields-int": lambda: generator(5),
    "yields-bytearray": lambda: [bytearray(b"part")],
    "yields-memoryview": lambda: (memoryview(b"part"),),
    "yields-str-later": lambda: generator(b"part", "text"),
    "iter-raises": lambda: Iterable(iterate=lambda: raise_error(RuntimeError("no iterator"))),
    "iter-type-error": lambda: Iterable(iterate=lambda: raise_error(TypeError("no iterator"))),
    "iter-exits": lambda: Iterable(iterate=sys.exit),
    "no-iterator": lambda: Iterable(iterate=lambda: 5),
    "no-next": NoNext,
    "beyond-the-end": AfterTheEnd,
    "lying-list": lambda: Lies([b"one"]),
    "lying-bytes": lambda: [Bytes(b"part"), Bytes(b"part")],
    "close-is-none": lambda: Iterable(close=None),
    "close-wants-more": lambda: Iterable(close=lambda wanted: None),
    "close-is-missing": lambda: BadClose(),
    "clinging": clinging,
    "running": running,
    "mutating": mutating,
}


def returns(environ, start_response):
    """Returns what is no body, or hardly one."""
    start_response("200 OK", TEXT)
    return RETURNS[environ["QUERY_STRING"].partition("&")[0]]()


class Text(str):
    """Text that fails where it is looked at too closely."""

    def __str__(self):
        raise Own("looked at")

    __repr__ = __len__ = __hash__ = __iter__ = __getitem__ = __str__


STARTS = {
    "status-int": (200, TEXT),
    "status-bytes": (b"200 OK", TEXT),
    "status-none": (None, TEXT),
    "status-short": ("200", TEXT),
    "status-wide": ("200 \u2713", TEXT),
    "headers-none": ("200 OK", None),
    "headers-tuple": ("200 OK", tuple(TEXT)),
    "headers-dict": ("200 OK", dict(TEXT)),
    "header-list": ("200 OK", [["X-A", "b"]]),
    "header-three": ("200 OK", [("X-A", "b", "c")]),
    "name-bytes": ("200 OK", [(b"X-A", "b")]),
    "value-int": ("200 OK", [("X-A", 5)]),
    "value-none": ("200 OK", [("X-A", None)]),
    "value-bytes": ("200 OK", [("X-A", b"b")]),
    "value-wide": ("200 OK", [("X-A", "\u2713")]),
    "length-text": ("200 OK", [("Content-Length", "many")]),
    "one-argument": ("200 OK",),
    "four-arguments": ("200 OK", TEXT, None, None),
    "exc-info-odd": ("200 OK", TEXT, 5),
}


def starts(environ, start_response):
    """Calls start_response as it must not be called."""
    start_response(*STARTS[environ["QUERY_STRING"]])
    return [b"accepted"]


def starts_odd_text(environ, start_response):
    """Calls it with text that fails where it is looked at."""
    start_response(Text("200 OK"), [(Text("X-Odd"), Text("yes"))])
    return [b"accepted"]


def header(environ, start_response):
    """A header of so many bytes."""
    start_response("200 OK", [*TEXT, ("X-Huge", "h" * int(environ["QUERY_STRING"]))])
    return [b"said"]


def headers(environ, start_response):
    """So many headers."""
    start_response("200 OK", [*TEXT, *((f"X-{number}", "h") for number in range(int(environ["QUERY_STRING"])))])
    return [b"said"]


# What must be well afterwards.


def pid(environ, start_response):
    """The worker's pid."""
    return said(start_response, str(os.getpid()).encode())


def body(environ, start_response):
    """The request's body, back."""
    return said(start_response, environ["wsgi.input"].read())


def fail(environ, start_response):
    """An everyday mistake."""
    raise RuntimeError(f"failed {environ['QUERY_STRING']}")


def hold(environ, start_response):
    """Is in the application until the file that the query names is there."""
    path = Path(environ["QUERY_STRING"])
    Path(f"{path}.begun").touch()
    until = monotonic() + 30
    while not path.exists() and monotonic() < until:
        sleep(0.01)
    return said(start_response, b"held")


def application(environ, start_response):
    """Routes by the path."""
    return globals()[environ["PATH_INFO"].strip("/").replace("-", "_")](environ, start_response)
