"""Reads wsgi.input in each way that PEP 3333 gives, as told by the query, and shows what came as JSON."""

import hashlib
import json


def application(environ, start_response):
    """The query is a list of calls such as `read(3);readline();read()`, or one of `iterate`, `echo`, `digest`, `ignore`."""
    stream = environ["wsgi.input"]
    query = environ["QUERY_STRING"]
    if query == "echo":
        data = stream.read()
    elif query == "digest":
        data = _digest(stream)
    elif query == "ignore":
        data = b"ignored"
    elif query == "iterate":
        data = json.dumps([line.decode() for line in stream]).encode()
    else:
        data = json.dumps([_call(stream, call) for call in query.split(";")]).encode()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(data)))])
    return [data]


def _call(stream, call):
    name, _, argument = call.rstrip(")").partition("(")
    result = getattr(stream, name)(*([int(argument)] if argument else []))
    if isinstance(result, list):
        return [line.decode() for line in result]
    assert type(result) is bytes, type(result)
    return result.decode()


def _digest(stream):
    digest = hashlib.sha256()
    while block := stream.read(65536):
        digest.update(block)
    return digest.hexdigest().encode()
