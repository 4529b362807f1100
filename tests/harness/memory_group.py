"""A control group with a memory limit, for a process to be started in: the kernel's OOM killer at hand."""

import os
from contextlib import contextmanager
from pathlib import Path

from .waiting import wait_until

_NUMBERS = iter(range(1_000_000))


@contextmanager
def memory_group(limit):
    """A group of at most `limit` bytes, as a function that moves the calling process there; None where none can be had."""
    group = _make(limit)
    if group is None:
        yield None
        return
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        wait_until(lambda: _is_removed(group), 10, f"{group} is empty and removed")


def _make(limit):
    for parent, limits in _places():
        group = parent / f"tapster-test-{os.getpid()}-{next(_NUMBERS)}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limits[0]).write_text(str(limit))
        except OSError:
            group.rmdir()
            continue
        for other in limits[1:]:
            try:
                (group / other).write_text("0" if "max" in other else str(limit))
            except OSError:
                # A machine without swap has no such limit.
                continue
        return group
    return None


def _places():
    """Own groups that count memory, and the files of their limits: memory first, then that of swap."""
    groups = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        root, mounted = left.split()[3:5]
        kind, _, options = right.split(None, 2)
        if kind == "cgroup" and "memory" in options.split(","):
            names = [name for name in groups if "memory" in name.split(",")]
            limits = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        elif kind == "cgroup2":
            names, limits = [""], ["memory.max", "memory.swap.max"]
        else:
            continue
        for name in names:
            group = groups.get(name, "")
            yield Path(mounted) / (os.path.relpath(group, root) if group.startswith(root) else "."), limits


def _is_removed(group):
    try:
        group.rmdir()
    except OSError:
        return not group.exists()
    return True
