"""Where the proxies' programs are, and skipping by name where they are not."""

import os
import shutil

import pytest

#: Debian keeps servers where an ordinary user's PATH does not look.
_PATH = os.pathsep.join([os.environ.get("PATH", "/usr/bin:/bin"), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def program(name):
    """The path of a program, or None."""
    return shutil.which(name, path=_PATH)


def needs(*names):
    """A mark that skips, and says by name what is missing."""
    missing = [name for name in names if program(name) is None]
    reason = f"not installed: {', '.join(missing)} (tests/packages.txt)"
    return pytest.mark.skipif(bool(missing), reason=reason)
