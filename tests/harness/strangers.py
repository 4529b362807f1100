"""What servers need of which a part or all belongs to another user: an interpreter and folders that are open to everybody."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from .interpreters import Interpreter
from .paths import APPS, TAPSTER
from .server import Server

#: Debian's own interpreter: those of version managers are often in a home that no other user may enter.
PYTHON = Interpreter("3.11-static")
#: A user of the tests' own, so that nobody else's processes count.
STRANGER = 54000 + os.getpid() % 1000
_BECOME = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--"]


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


class Stranger(Server):
    """A server all of whose processes belong to a user without privileges: for root there is no limit of processes."""

    def __init__(self, app, *options, folder, **settings):
        os.chown(folder, STRANGER, STRANGER)
        super().__init__(app, *options, cwd=folder, interpreter=PYTHON, **settings)

    def command(self):
        """That of a server, behind the program that changes the user."""
        return [*_BECOME, *super().command()]

    def limit_processes(self, pid, soft):
        """Sets how many processes its user may have for one of its processes to fork, and returns how many those were."""
        before = re.search(r"Max processes +(\S+)", Path(f"/proc/{pid}/limits").read_text())[1]
        # As that user: root may not have the right to.
        subprocess.run([*_BECOME, "prlimit", f"--pid={pid}", f"--nproc={soft}:"], check=True)
        return before
