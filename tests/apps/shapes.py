"""Applications of every shape that a server is told to serve by name; each says which it is."""

import functools


def _answer(start_response, name):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [name]


def function(environ, start_response):
    """A function."""
    return _answer(start_response, b"function")


class Class:
    """A class whose instances are iterables."""

    def __init__(self, environ, start_response):
        self.start = start_response

    def __iter__(self):
        return iter(_answer(self.start, b"class"))


class _Callable:
    def __call__(self, environ, start_response):
        return _answer(start_response, b"instance")

    def method(self, environ, start_response):
        """A bound method."""
        return _answer(start_response, b"method")

    @staticmethod
    def static(environ, start_response):
        """A static method."""
        return _answer(start_response, b"static")


def generator(environ, start_response):
    """A generator function."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"generator"


def factory():
    """Makes an application."""
    return function


def _named(name, environ, start_response):
    return _answer(start_response, name)


instance = _Callable()
method = instance.method
static = _Callable.static
partial = functools.partial(_named, b"partial")
application = functools.partial(_named, b"application")
app = functools.partial(_named, b"app")
not_callable = 42
