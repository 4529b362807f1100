"""wsgi.input and wsgi.errors."""

import ast

from . import folder, note_raised, report, route, text


@route
def calls(environ, start_response):
    """Does with wsgi.input what a header field says, as in `read(3);readline();lines`, and reports each result."""
    stream = environ["wsgi.input"]
    results = [_result(stream, call) for call in environ["HTTP_X_CALLS"].split(";")]
    return report(start_response, results)


def _result(stream, call):
    try:
        if call == "lines":
            return _told(list(stream))
        name, _, argument = call.rstrip(")").partition("(")
        arguments = [ast.literal_eval(argument)] if argument else []
        return _told(getattr(stream, name)(*arguments))
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}


def _told(value):
    """Bytes as text; all else, which is a mistake, by its type."""
    if type(value) is bytes:
        return value.decode("latin-1")
    if type(value) is list:
        return [_told(each) for each in value]
    return {"type": type(value).__name__, "value": repr(value)}


@route
def echo(environ, start_response):
    """The body, read in one."""
    return text(start_response, environ["wsgi.input"].read())


@route
def echo_declared(environ, start_response):
    """The body, read by its declared length as the first version of WSGI had it."""
    return text(start_response, environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


@route
def echo_by_pieces(environ, start_response):
    """The body, read in pieces until there are no more; each is noted by its length."""
    pieces = list(iter(lambda: environ["wsgi.input"].read(10_000), b""))
    return report(start_response, {"lengths": [len(each) for each in pieces], "sum": sum(map(sum, pieces))})


@route
def unread(environ, start_response):
    """Leaves the body alone."""
    return text(start_response, b"unread")


@route
def errors(environ, start_response):
    """Writes to wsgi.errors in each way, marked with the folder's name."""
    at, stream = folder(environ), environ["wsgi.errors"]
    mark = at.name
    note_raised(at, "write", stream.write, f"written {mark}\n")
    note_raised(at, "writelines", stream.writelines, [f"line one {mark}\n", f"line two {mark}\n"])
    note_raised(at, "flush", stream.flush)
    note_raised(at, "unicode", stream.write, f"caf\xe9 \u2713 \U0001f600 {mark}\n")
    note_raised(at, "flush-again", stream.flush)
    return text(start_response, b"complained")
