"""A minimal Debian, made once by debootstrap and kept under target/: the root of the machine and of the image.

It is only ever read: the machine writes to an overlay in memory, the image is a copy.
"""

import fcntl
import shutil
from contextlib import contextmanager
from pathlib import Path

from harness import ROOT

from .tools import debian, run

CACHE = ROOT / "target" / "deploy"
#: With /bin/kill, which a server has and minbase has not, and Debian's own python3, which has no shared library.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "procps", "python3")
#: It downloads about 100 MB.
DEBOOTSTRAP_DEADLINE_S = 900


def base_tree():
    """The folder that holds the tree; makes it where it is not there yet."""
    tree = CACHE / f"{debian()}-{'-'.join(PACKAGES)}"
    with locked("tree"):
        if not tree.exists():
            _make(tree)
    return tree


@contextmanager
def locked(name):
    """Holds a lock against the other processes of this test run."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(tree: Path):
    unfinished = tree.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    include = f"--include={','.join(PACKAGES)}"
    run("debootstrap", "--variant=minbase", include, debian(), unfinished, deadline=DEBOOTSTRAP_DEADLINE_S)
    shutil.rmtree(unfinished / "var/cache/apt/archives", ignore_errors=True)
    unfinished.rename(tree)
