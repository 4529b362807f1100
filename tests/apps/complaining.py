"""An application that uses `wsgi.errors` in all the ways that people do. The path says how, the query what it says."""

import contextlib
import gc
import io
import json
import logging
import os
import sys

OWN = sys.stderr


class Logging(io.TextIOBase):
    """What some put in the place of sys.stderr: it logs each line, and the log goes to `wsgi.errors`."""

    def __init__(self, log):
        self.log = log

    def write(self, text):
        for line in text.splitlines():
            self.log.warning("logged %s", line)
        return len(text)


def prints(errors, query):
    """A line, thousands of times, while other threads run whenever they can."""
    sys.setswitchinterval(1e-6)
    for _ in range(3000):
        print(query, file=errors)


def logs(errors, query):
    """By a handler of the module `logging`."""
    log = logging.getLogger(query)
    log.addHandler(logging.StreamHandler(errors))
    log.warning(query)


def writes(errors, query):
    """By all methods that PEP 3333 names."""
    written = errors.write(f"{query} one\n")
    errors.writelines([f"{query} two\n", f"{query} three\n"])
    errors.flush()
    return written


def writes_bytes(errors, query):
    """To what is beneath it."""
    errors.buffer.write(f"{query}\n".encode())
    errors.flush()


def leaves_open(errors, query):
    """Without an end of the line."""
    errors.write(query)
    errors.flush()


def closes(errors, query):
    """Closes it in all ways, and writes nevertheless."""
    errors.close()
    with errors:
        errors.write(f"{query} one\n")
    with contextlib.closing(errors):
        errors.write(f"{query} two\n")
    try:
        errors.detach()
    except io.UnsupportedOperation:
        errors.write(f"{query} three\n")
    gc.collect()
    return errors.closed


def tells(errors, query):
    """What it is."""
    return {
        "encoding": errors.encoding.lower(),
        "errors": errors.errors,
        "tty": errors.isatty(),
        "target": os.readlink(f"/proc/self/fd/{errors.fileno()}"),
        "text": isinstance(errors, io.TextIOBase),
        "writable": errors.writable(),
        "line_buffering": errors.line_buffering,
        "id": id(errors),
    }


def redirects(errors, query):
    """What is said while sys.stderr is another stream."""
    with contextlib.redirect_stderr(io.StringIO()) as other:
        errors.write(query)
        print(query, file=errors, end=";", flush=True)
    return other.getvalue()


REPLACED = {
    "none": lambda errors: None,
    "number": lambda errors: 5,
    "itself": lambda errors: errors,
    "missing": lambda errors: delattr(sys, "stderr"),
    "detached": lambda errors: detached(),
    "gone": lambda errors: gone(),
    "logger": lambda errors: Logging(logger(errors)),
}


def replaces(errors, query):
    """With something in the place of sys.stderr that can't be written to, or that comes back here."""
    how, _, text = query.partition(",")
    other = REPLACED[how](errors)
    if how != "missing":
        sys.stderr = other
    try:
        errors.write(f"{text}\n")
        errors.flush()
        print(text, file=errors, flush=True)
    finally:
        sys.stderr = OWN


def detached():
    """A stream that has been taken apart."""
    stream = io.TextIOWrapper(io.BytesIO())
    stream.detach()
    return stream


def gone():
    """A stream that is closed."""
    stream = io.StringIO()
    stream.close()
    return stream


def logger(errors):
    """A logger that writes here."""
    log = logging.getLogger("here")
    log.addHandler(logging.StreamHandler(errors))
    return log


def raises(errors, query):
    """A stream that can't be written to."""
    sys.stderr = open("/dev/full", "w", buffering=1)
    try:
        errors.write(f"{query}\n")
    except OSError as error:
        return error.strerror
    finally:
        sys.stderr = OWN


def application(environ, start_response):
    """Does what the path says."""
    does = globals()[environ["PATH_INFO"].strip("/").replace("-", "_")]
    told = json.dumps(does(environ["wsgi.errors"], environ["QUERY_STRING"])).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [told]
