"""`wsgi.errors` (PEP 3333): the server's log as a text stream that an application may close without taking it from others."""

import io
import os
import sys


class ErrorStream(io.TextIOWrapper):
    """The same object for all requests of a process."""

    def close(self):
        """Writes out what is buffered, and closes nothing: the next request's errors go here too."""
        try:
            self.flush()
        except (OSError, ValueError):
            # Who closes a stream has no more to write.
            pass

    def detach(self):
        """Raises: without what is beneath it the stream would be as good as closed."""
        raise io.UnsupportedOperation("wsgi.errors is shared by all requests, so it can't be detached")


def open_stream(descriptor):
    """The stream: over the log's file, or, where that is None, over the process's standard error stream."""
    if descriptor is None:
        # Python has no such stream where it found descriptor 2 closed, which may be something else by now.
        descriptor = 2 if sys.__stderr__ is not None and is_open(2) else os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    # Nobody closes the descriptor, so the end of the interpreter has nothing to warn of.
    binary = open(descriptor, "wb", closefd=False)
    return ErrorStream(binary, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def is_open(descriptor):
    """Whether there is such a descriptor."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
