"""Commands of the system: which are missing, and running one with a deadline."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


#: In front of a command: it ends, as by TERM, when the test process that started it is killed.
BOUND_TO_THE_TESTS = ["setpriv", "--pdeathsig=TERM", "--"]


def needs(*programs):
    """A mark that skips, and says by name what is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    reasons = []
    if os.geteuid() != 0:
        reasons.append("not root")
    if missing:
        reasons.append(f"not installed: {', '.join(missing)} (tests/packages.txt)")
    if debian() is None:
        reasons.append("the program built here runs in a tree of the same Debian release, and this is not Debian")
    return pytest.mark.skipif(bool(reasons), reason="; ".join(reasons))


def run(*command, deadline=60, check=True, **options):
    """Runs a command and returns it done, with its text in `stdout`; a failure shows what it said."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        timeout=deadline,
        text=True,
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )
    if check:
        assert done.returncode == 0, f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}"
    return done


def debian():
    """This system's Debian release by its name, as `bookworm`; None on another system."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return None
    facts = dict(line.replace('"', "").split("=", 1) for line in lines if "=" in line)
    return facts.get("VERSION_CODENAME") if facts.get("ID") == "debian" else None
