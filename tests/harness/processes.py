"""Processes as /proc shows them. A server's tree is known by a marker in its environment, and by its session."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path

from .waiting import wait_until

MARKER = "TEST_ID_OF_TAPSTER"


def marked(test_id, session=None):
    """The pids, zombies included, of every process that carries the marker or belongs to the session."""
    needle = f"{MARKER}={test_id}".encode()
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _belongs(int(entry), needle, session):
            found.add(int(entry))
    return found


def _belongs(pid, needle, session):
    fields = stat(pid)
    if fields is None:
        return False
    if session is not None and fields["session"] == session:
        return True
    try:
        return needle in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def stat(pid):
    """State, parent and session of a process, or None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent, _group, session = text.rpartition(")")[2].split()[:4]
    return {"state": state, "parent": int(parent), "session": int(session)}


def alive(pid):
    """Whether the process exists and is no zombie."""
    fields = stat(pid)
    return fields is not None and fields["state"] not in "ZX"


def zombies(pids):
    """Those of the pids that have died and were not reaped."""
    return {pid for pid in pids if (stat(pid) or {"state": ""})["state"] == "Z"}


def children(pid):
    """The direct children of a process, zombies included."""
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit() and (stat(entry) or {}).get("parent") == pid}


def threads(pid):
    """The names of a process's threads."""
    return [task.read_text().strip() for task in Path(f"/proc/{pid}/task").glob("*/comm")]


def open_files(pid):
    """What each file descriptor of a process points to."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(entry.name)] = os.readlink(entry)
        except OSError:
            continue
    return found


def describe(pids):
    """One line a process, for a failure's message."""
    lines = []
    for pid in sorted(pids):
        fields = stat(pid)
        if fields:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            lines.append(f"pid {pid} state {fields['state']} parent {fields['parent']}: {command}")
    return "\n".join(lines)


def kill(pids, number=signal.SIGKILL):
    """Sends a signal to each pid that still exists."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


@contextmanager
def halted(pid):
    """That process runs no thread within, so that it sees all that happens meanwhile at once."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: stat(pid)["state"] == "T", what="the process is at a halt")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
