"""wsgi.file_wrapper. The file is `content` in the shared folder."""

import io

from . import TEXT, folder, note, plain, report, route, text


def _open(environ):
    return (folder(environ) / "content").open("rb")


def _declare(environ, start_response, behind=0):
    """Declares the length of what is behind a place in the file."""
    length = (folder(environ) / "content").stat().st_size - behind
    plain(start_response, ("Content-Length", str(length)))


def _wrapper(environ):
    """The server's wrapper; without one the application says so by a status of its own."""
    return environ.get("wsgi.file_wrapper")


def offering(function):
    """A route that is asked only where there is a wrapper."""

    def offered(environ, start_response):
        if _wrapper(environ) is None:
            start_response("404 No Wrapper", [TEXT, ("Content-Length", "0")])
            return []
        return function(environ, start_response)

    offered.__name__ = function.__name__
    return route(offered)


@offering
def file(environ, start_response):
    """The whole file."""
    _declare(environ, start_response)
    return _wrapper(environ)(_open(environ))


@offering
def file_undeclared(environ, start_response):
    """The file from where it stands, whose length the server may find out."""
    source = _open(environ)
    source.seek(1000)
    plain(start_response)
    return _wrapper(environ)(source)


@offering
def file_sized(environ, start_response):
    """The whole file, with a size for its blocks."""
    _declare(environ, start_response)
    return _wrapper(environ)(_open(environ), 100)


@offering
def file_iterated(environ, start_response):
    """The application itself goes through what the wrapper makes."""
    wrapped = _wrapper(environ)(_open(environ), 100)
    body = b"".join(wrapped)
    wrapped.close()
    return text(start_response, body)


@offering
def file_discarded(environ, start_response):
    """Makes a wrapper, and answers with something else."""
    wrapped = _wrapper(environ)(_open(environ))
    body = text(start_response, b"something else")
    wrapped.close()
    return body


@offering
def file_changed(environ, start_response):
    """A middleware works on what the wrapper yields."""
    _declare(environ, start_response)
    return (block.swapcase() for block in _wrapper(environ)(_open(environ), 100))


@offering
def file_from(environ, start_response):
    """The file from where it stands."""
    source = _open(environ)
    source.seek(1000)
    _declare(environ, start_response, behind=1000)
    return _wrapper(environ)(source)


@offering
def file_moved(environ, start_response):
    """The file from where it is put after it was wrapped."""
    source = _open(environ)
    wrapped = _wrapper(environ)(source)
    source.seek(1000)
    _declare(environ, start_response, behind=1000)
    return wrapped


@offering
def file_range(environ, start_response):
    """A part of the file, as an application that answers a request for a range sends it."""
    source = _open(environ)
    source.seek(1000)
    start_response("206 Partial Content", [TEXT, ("Content-Length", "500"), ("Content-Range", "bytes 1000-1499/*")])
    return _wrapper(environ)(source)


class Reads:
    """Has read(), and nothing else."""

    def __init__(self, environ):
        self._source = _open(environ)

    def read(self, size=-1):
        """As a file's."""
        return self._source.read(size)


class Closes(Reads):
    """Has close() as well, which it notes."""

    def __init__(self, environ):
        super().__init__(environ)
        self.at = folder(environ)

    def close(self):
        """Notes that it was called."""
        note(self.at, "closed")
        self._source.close()


class ClosingFile(io.FileIO):
    """A real file that notes its close()."""

    def __init__(self, environ):
        super().__init__(folder(environ) / "content")
        self.at = folder(environ)

    def close(self):
        """Notes that it was called."""
        if not self.closed:
            note(self.at, "closed")
        super().close()


@offering
def file_like(environ, start_response):
    """What only has read()."""
    _declare(environ, start_response)
    return _wrapper(environ)(Reads(environ), 100)


@offering
def file_in_memory(environ, start_response):
    """A file without a descriptor."""
    _declare(environ, start_response)
    return _wrapper(environ)(io.BytesIO((folder(environ) / "content").read_bytes()))


@offering
def file_closing(environ, start_response):
    """A real file whose close() is noted; the server is to call it."""
    _declare(environ, start_response)
    return _wrapper(environ)(ClosingFile(environ))


@offering
def file_like_closing(environ, start_response):
    """What is like a file, whose close() is noted; the server is to call it."""
    _declare(environ, start_response)
    return _wrapper(environ)(Closes(environ), 100)


@offering
def file_close_forwarded(environ, start_response):
    """Whether the wrapper's close() is that of what it wraps."""
    wrapped = _wrapper(environ)(Closes(environ))
    if hasattr(wrapped, "close"):
        wrapped.close()
    return report(start_response, (folder(environ) / "closed").exists())
