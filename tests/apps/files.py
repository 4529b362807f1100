"""Sends files through wsgi.file_wrapper, opened in every way. The path says how, the query which file and what of it.

`path` is the file; `offset` and `read` say from where, by seek() and by read(); `length` is declared, `write` sent before by
write(), `status` the reply's; `name` is what close() is recorded under.
"""

import functools
import gzip
import io
import json
import os
import tempfile
from urllib.parse import parse_qsl

CLOSED = []
TEXT = [("Content-Type", "text/plain")]


class Upper(io.FileIO):
    """A file that is read in its own way."""

    def read(self, size=-1):
        """In capitals."""
        return super().read(size).upper()


def own_read(path):
    """A plain file with a method of the application's over it."""
    stream = open(path, "rb")
    plain = stream.read
    stream.read = lambda size=-1: plain(size).upper()
    return stream


def temporary(make, path):
    """A temporary file that has just been written."""
    stream = make()
    with open(path, "rb") as source:
        stream.write(source.read())
    stream.seek(0)
    return stream


def pipe(path):
    """The end of a pipe, with the file's bytes in it: few, so that they fit."""
    end, start = os.pipe()
    with open(path, "rb") as source:
        os.write(start, source.read())
    os.close(start)
    return os.fdopen(end, "rb")


def django_file(path):
    """As a Django storage opens it."""
    from django.core.files import File

    return File(open(path, "rb"))


OPEN = {
    "raw": io.FileIO,
    "buffered": lambda path: open(path, "rb"),
    "random": lambda path: open(path, "r+b"),
    "temporary": functools.partial(temporary, tempfile.NamedTemporaryFile),
    "anonymous": functools.partial(temporary, tempfile.TemporaryFile),
    "django": django_file,
    "memory": lambda path: io.BytesIO(open(path, "rb").read()),
    "gzip": lambda path: gzip.open(path, "rb"),
    "subclass": Upper,
    "own-read": own_read,
    "pipe": pipe,
}


class Readable:
    """Only like a file, and has no close()."""

    def __init__(self, path):
        self.stream = open(path, "rb")

    def read(self, size=-1):
        """A part; at the end it closes the file itself."""
        data = self.stream.read(size)
        if not data:
            self.stream.close()
        return data


class Unreadable:
    """Can't be read."""

    def __init__(self, path):
        self.path = path

    def read(self, size=-1):
        """Raises."""
        raise OSError(f"{self.path} is not to be read")

    def close(self):
        """Nothing."""


OPEN["no-close"] = Readable
OPEN["unreadable"] = Unreadable


def send(environ, start_response):
    """Sends what the path and the query say."""
    asked = dict(parse_qsl(environ["QUERY_STRING"]))
    stream = OPEN[environ["PATH_INFO"].lstrip("/")](asked["path"])
    if "offset" in asked:
        stream.seek(int(asked["offset"]))
    if "read" in asked:
        stream.read(int(asked["read"]))
    length = [("Content-Length", asked["length"])] if "length" in asked else []
    put = start_response(asked.get("status", "200 OK"), [*TEXT, *length])
    if "write" in asked:
        put(asked["write"].encode())
    wrapper = environ["wsgi.file_wrapper"](stream, 4096)
    if "name" in asked:
        close = wrapper.close

        def closing():
            CLOSED.append(asked["name"])
            close()

        wrapper.close = closing
    return wrapper


def subclass(environ, start_response):
    """Returns a wrapper of a class that it has made of the server's."""

    class Doubled(environ["wsgi.file_wrapper"]):
        """Gives each block twice."""

        def __next__(self):
            return 2 * super().__next__()

    start_response("200 OK", TEXT)
    return Doubled(open(dict(parse_qsl(environ["QUERY_STRING"]))["path"], "rb"), 1 << 20)


def generator(environ, start_response):
    """Takes the wrapper's blocks one by one, as middleware may."""
    start_response("200 OK", TEXT)
    yield from environ["wsgi.file_wrapper"](open(dict(parse_qsl(environ["QUERY_STRING"]))["path"], "rb"))


def not_started(environ, start_response):
    """Returns a file without having called start_response."""
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


def closed(environ, start_response):
    """How many times close() was called for the name in the query."""
    start_response("200 OK", TEXT)
    return [str(CLOSED.count(environ["QUERY_STRING"])).encode()]


def hello(environ, start_response):
    """Says how many descriptors this process has open."""
    start_response("200 OK", TEXT)
    return [json.dumps(len(os.listdir("/proc/self/fd"))).encode()]


def application(environ, start_response):
    """Routes by the path."""
    routes = {
        "/subclass-of-wrapper": subclass,
        "/generator": generator,
        "/not-started": not_started,
        "/closed": closed,
        "/hello": hello,
    }
    return routes.get(environ["PATH_INFO"], send)(environ, start_response)
