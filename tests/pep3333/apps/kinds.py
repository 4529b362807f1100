"""Applications of every kind of callable that PEP 3333 names. All answer alike."""

import functools


def function(environ, start_response):
    """A function."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"shape"]


def generator(environ, start_response):
    """A generator function."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"shape"


class Class:
    """A class: the instance is the iterable."""

    def __init__(self, environ, start_response):
        self.environ, self.start = environ, start_response

    def __iter__(self):
        self.start("200 OK", [("Content-Type", "text/plain")])
        yield b"shape"


class _Methods:
    def bound(self, environ, start_response):
        """A bound method."""
        return function(environ, start_response)

    @staticmethod
    def other_names(_, __, *more):
        """Its parameters have no names to speak of, and there could be more."""
        return function(_, __)


method = _Methods().bound
static = _Methods.other_names
partial = functools.partial(function)
