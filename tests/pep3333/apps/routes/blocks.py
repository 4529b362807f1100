"""The iterable: its kinds, when each block leaves, and close()."""

import time

from . import TEXT, folder, note, note_raised, plain, route, wait_gate

BIG = 16 << 20
ALL_BYTES = bytes(range(256)) + b"\n \r \r\n \n\r"


@route
def every_byte(environ, start_response):
    """Every byte there is, and each kind of line end, in blocks."""
    plain(start_response)
    return iter((ALL_BYTES, ALL_BYTES))


def _gated(at, first, second):
    yield first
    note(at, "asked")
    wait_gate(at)
    yield second


@route
def gated(environ, start_response):
    """A block, and when the client has seen it another one."""
    plain(start_response)
    return _gated(folder(environ), b"first", b"second")


@route
def gated_big(environ, start_response):
    """A block larger than what a socket's buffers hold, and when the client has seen all of it another one."""
    plain(start_response)
    return _gated(folder(environ), b"x" * BIG, b"second")


@route
def gated_write(environ, start_response):
    """A block written, and when the client has seen it another one."""
    at, write = folder(environ), plain(start_response)
    write(b"first")
    note(at, "asked")
    wait_gate(at)
    write(b"second")
    return []


@route
def gated_after_write(environ, start_response):
    """One block written, then yielded ones as in `gated`."""
    plain(start_response)(b"written,")
    return _gated(folder(environ), b"first", b"second")


@route
def written_and_yielded(environ, start_response):
    """Writes, then yields."""
    write = plain(start_response)
    write(b"one,")
    write(b"two,")
    return iter((b"three,", b"four"))


@route
def only_written(environ, start_response):
    """Writes, and returns an iterable that is empty."""
    plain(start_response)(b"written")
    return []


class ByIndex:
    """The PEP's own example of a file wrapper: iterated by index, as the oldest protocol has it."""

    def __getitem__(self, key):
        if key < 3:
            return b"block,"
        raise IndexError


@route
def by_index(environ, start_response):
    """An iterable without __iter__."""
    plain(start_response)
    return ByIndex()


class Closing:
    """Notes each call of close(), and may fail at a block."""

    def __init__(self, at, *blocks, fails_at=None):
        self.at, self.blocks, self.fails_at, self.number = at, list(blocks), fails_at, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.number == self.fails_at:
            raise RuntimeError(f"failed in the body {self.at.name}")
        if self.number == len(self.blocks):
            raise StopIteration
        self.number += 1
        return self.blocks[self.number - 1]

    def close(self):
        """Notes that it was called."""
        note(self.at, "closed")


@route
def closing(environ, start_response):
    """Ends as it should."""
    plain(start_response)
    return Closing(folder(environ), b"one,", b"two")


@route
def closing_empty(environ, start_response):
    """Has no blocks."""
    plain(start_response)
    return Closing(folder(environ))


@route
def closing_failed(environ, start_response):
    """Fails at its second block."""
    plain(start_response)
    return Closing(folder(environ), b"one,", b"two", fails_at=1)


@route
def closing_failed_first(environ, start_response):
    """Fails at its first block."""
    plain(start_response)
    return Closing(folder(environ), b"one,", fails_at=0)


class ClosingList(list):
    """A list, but with a close()."""

    def close(self):
        """Notes that it was called."""
        note(self.at, "closed")


@route
def closing_list(environ, start_response):
    """A list of one block with a close()."""
    plain(start_response)
    blocks = ClosingList([b"only"])
    blocks.at = folder(environ)
    return blocks


@route
def closing_endless(environ, start_response):
    """Goes on for two seconds, whoever listens; a generator, whose finally is its close()."""
    plain(start_response)
    return _endless(folder(environ))


def _endless(at):
    try:
        for _ in range(200):
            yield b"x" * 65536
            time.sleep(0.01)
    finally:
        note(at, "closed")


class Touchy:
    """An iterable that notes each attribute that is looked at."""

    #: What servers know from iterables and files of their own.
    fileno = read = name = filelike = blksize = status_code = headers = len = tell = seek = None

    def __init__(self, at):
        self.at = at

    def __iter__(self):
        return iter((b"one,", b"two"))

    def __getattribute__(self, name):
        if name != "at":
            note(self.at, "touched", name)
        return object.__getattribute__(self, name)


@route
def touchy(environ, start_response):
    """An iterable that notes each attribute that is looked at."""
    plain(start_response)
    return Touchy(folder(environ))


@route
def text_blocks(environ, start_response):
    """Yields str."""
    start_response("200 OK", [TEXT])
    return ["text"]


@route
def writes_text(environ, start_response):
    """Writes str."""
    note_raised(folder(environ), "raised", plain(start_response), "text")
    return []
