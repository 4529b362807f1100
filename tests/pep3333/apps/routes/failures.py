"""What applications do wrong, at the worst of times."""

from . import TEXT, folder, plain, route


def _error(at, when):
    return RuntimeError(f"failed {when} {at.name}")


def _failing(at, *blocks):
    yield from blocks
    raise _error(at, "in the body")


@route
def fails(environ, start_response):
    """Raises before anything was declared."""
    raise _error(folder(environ), "in the call")


@route
def fails_declared(environ, start_response):
    """Raises when its reply was declared, and not one byte of it sent."""
    plain(start_response, ("X-Declared", "yes"))
    raise _error(folder(environ), "in the call")


@route
def fails_first(environ, start_response):
    """Raises at the first block."""
    plain(start_response)
    return _failing(folder(environ))


@route
def fails_midstream(environ, start_response):
    """Raises behind the first block."""
    plain(start_response)
    return _failing(folder(environ), b"first,")


@route
def fails_midstream_with_length(environ, start_response):
    """Raises behind the first block of a reply with a declared length."""
    start_response("200 OK", [TEXT, ("Content-Length", "50")])
    return _failing(folder(environ), b"first,")


@route
def fails_in_close(environ, start_response):
    """Raises in close()."""
    plain(start_response)
    return _FailsInClose(folder(environ))


class _FailsInClose(list):
    def __init__(self, at):
        super().__init__([b"whole"])
        self.at = at

    def close(self):
        """Raises."""
        raise _error(self.at, "in close")


@route
def exits(environ, start_response):
    """Raises SystemExit."""
    raise SystemExit(f"exit {folder(environ).name}")


@route
def returns_none(environ, start_response):
    """Returns nothing that could be iterated."""
    plain(start_response)


@route
def returns_int(environ, start_response):
    """Returns a number."""
    plain(start_response)
    return 5


@route
def yields_none(environ, start_response):
    """Yields what is no block."""
    plain(start_response)
    return iter((None,))
