"""When a process has come to rest: what its threads do is known by how often each has been switched."""

import re
import time
from pathlib import Path

from .waiting import wait_until


def switches(pid):
    """How often each thread of a process has been switched."""
    found = {}
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        found[status.parent.name] = re.findall(r"ctxt_switches:\s*(\d+)", status.read_text())
    return found


def wait_at_rest(pid, seconds=0.1):
    """Waits until no thread of a process has run for a moment."""

    def rests():
        before = switches(pid)
        time.sleep(seconds)
        return switches(pid) == before

    wait_until(rests, 20, f"no thread of {pid} runs")
