"""`wsgi.file_wrapper`, and whether what it wraps is a plain file, which the server can send without reading it."""

import errno
import io
import os
import stat
import sys
from wsgiref import util


class FileWrapper(util.FileWrapper):
    """An iterable over what a file-like object has from where it stands, in blocks."""


#: Classes of objects whose `file` is the one that is read, by module and name; none of them is imported for this.
_AROUND = (
    ("tempfile", "_TemporaryFileWrapper"),
    ("django.core.files.base", "File"),
    ("django.db.models.fields.files", "FieldFile"),
)


def plain_part(wrapper):
    """What is left of the file in a wrapper: a descriptor of its own, offset and length; None where it is to be read."""
    try:
        file = _innermost(wrapper.filelike)
        return None if file is None else _part(file)
    except Exception:
        # Reading it will tell what is wrong.
        return None


def _innermost(file):
    while _is_around_another(type(file)):
        file = file.file
    if type(file) is io.FileIO:
        raw = file
    elif type(file) in (io.BufferedReader, io.BufferedRandom):
        raw = file.raw
        if type(raw) is not io.FileIO:
            return None
    else:
        return None
    # What an application has put over a method is to be called.
    own = {"read", "readinto", "readall", "tell", "fileno"}
    return None if own & (vars(file).keys() | vars(raw).keys()) else file


def _is_around_another(kind):
    return (kind.__module__, kind.__qualname__) in _AROUND and kind is getattr(
        sys.modules.get(kind.__module__), kind.__qualname__, None
    )


def _part(file):
    if not file.readable():
        return None
    if type(file) is io.BufferedRandom:
        file.flush()
    descriptor = file.fileno()
    status = os.fstat(descriptor)
    offset = file.tell()
    length = status.st_size - offset
    # A file that the kernel makes as it is read, such as those in /proc and /sys, has no blocks, and not the size that it
    # tells.
    if not stat.S_ISREG(status.st_mode) or length <= 0 or not (status.st_blocks or _is_hole(descriptor, offset)):
        return None
    return os.dup(descriptor), offset, length


def _is_hole(descriptor, offset):
    """Whether a file has nothing but a hole from there to its end, by the word of a file system that knows holes."""
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        # Within the file's size this says so; where holes are not known, it is another error, or none.
        return error.errno == errno.ENXIO
    os.lseek(descriptor, position, os.SEEK_SET)
    return False
