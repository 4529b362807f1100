"""The length of a body: declared, undeclared, exceeded, not reached."""

from . import TEXT, folder, note, note_raised, plain, route


def _declare(start_response, length):
    return start_response("200 OK", [TEXT, ("Content-Length", str(length))])


class Blocks:
    """Blocks of ten bytes, each noted when it is asked for."""

    def __init__(self, at, number):
        self.at, self.left = at, number

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        note(self.at, "asked")
        return b"0123456789"

    def close(self):
        """Notes that it was called."""
        note(self.at, "closed")


@route
def too_much(environ, start_response):
    """A hundred blocks where three would do."""
    _declare(start_response, 30)
    return Blocks(folder(environ), 100)


@route
def too_much_in_one(environ, start_response):
    """One block that is longer than was declared."""
    _declare(start_response, 5)
    return [b"0123456789"]


@route
def writes_too_much(environ, start_response):
    """write() beyond what was declared."""
    at, write = folder(environ), _declare(start_response, 5)
    write(b"01234")
    note_raised(at, "raised", write, b"56789")
    return []


@route
def too_little(environ, start_response):
    """Less than was declared, in one block."""
    _declare(start_response, 50)
    return [b"0123456789"]


@route
def too_little_by_blocks(environ, start_response):
    """Less than was declared, in several blocks."""
    _declare(start_response, 50)
    return iter((b"01234", b"56789"))


@route
def several(environ, start_response):
    """Several blocks whose sum nobody knows, and empty ones among them."""
    plain(start_response)
    return iter((b"one,", b"", b"two,", b"", b"", b"three"))


@route
def single(environ, start_response):
    """A list of one block."""
    plain(start_response)
    return [b"one and only"]


class Sized:
    """An iterable of one block that says so, and is no list."""

    def __len__(self):
        return 1

    def __iter__(self):
        return iter((b"one and only",))


@route
def sized(environ, start_response):
    """An iterable of one block that is no list."""
    plain(start_response)
    return Sized()


@route
def pair(environ, start_response):
    """A list of two blocks."""
    plain(start_response)
    return [b"one", b"two"]


@route
def written_and_single(environ, start_response):
    """Writes, then returns a list of one block: its length is not the body's."""
    plain(start_response)(b"written,")
    return [b"returned"]
