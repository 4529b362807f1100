"""What a server needs whose application runs as another user: an interpreter and folders that are open to everybody."""

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from .interpreters import Interpreter
from .paths import APPS, TAPSTER

#: Debian's own interpreter: those of version managers are often in a home that no other user may enter.
PYTHON = Interpreter("3.11-static")


def _closed():
    """The folder that another user may not enter, of those that it needs."""
    paths = [APPS / "ops.py", TAPSTER, PYTHON.python.resolve()]
    closed = (each for path in paths for each in path.parents if not each.stat().st_mode & stat.S_IXOTH)
    return next(closed, None)


def _reason():
    if os.geteuid() != 0:
        return "not root"
    if not PYTHON.python.exists():
        return "static CPython 3.11 not found"
    return f"{_closed()} is closed to other users" if _closed() else None


#: For tests that start a server as another user.
needs_strangers = pytest.mark.skipif(_reason() is not None, reason=str(_reason()))


@contextmanager
def open_folder():
    """A folder that every user may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="tapster-open-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
