"""What the arbiter takes of memory and descriptors in a life of many reloads. Used by `memory`."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from processes import own_memory_kib
from upheavals import serves
from upheld import TAPSTER, Site, Stopped, Upheld, is_alive

#: A reload takes a little more than a second: so long must the first new worker last.
_STEP_S = 60.0


@dataclass(frozen=True)
class Age:
    """The arbiter after so many reloads."""

    reloads: int
    #: Resident: all of it, what is its own, and what of it is pages of files.
    rss_kib: int
    anonymous_kib: int
    file_kib: int
    pss_kib: int
    descriptors: int


def measure(tapster: Path, reloads: int, say: Callable[[str], None]) -> list[Age]:
    """One server with one worker, looked at ten times on the way."""
    with tempfile.TemporaryDirectory(prefix="tapster-aging-") as folder:
        with Upheld(TAPSTER, Site(Path(folder), tapster, workers=1, threads=1)) as upheld:
            if not serves(upheld, 30):
                raise Stopped(upheld.end())
            ages = [_look(upheld.root(), 0)]
            worker = _newest(upheld)
            for number in range(1, reloads + 1):
                upheld.signal(signal.SIGHUP)
                worker = _wait_newer(upheld, worker)
                if number * 10 // reloads > (number - 1) * 10 // reloads:
                    ages.append(_look(upheld.root(), number))
                    say(f"  {ages[-1]}")
    return ages


def _newest(upheld: Upheld) -> int:
    """The worker that came last; the end of the log is enough to know it by."""
    with upheld.log_path.open("rb") as log:
        log.seek(max(0, upheld.log_path.stat().st_size - 4096))
        found = TAPSTER.ready.findall(log.read().decode(errors="replace"))
    return int(found[-1]) if found else 0


def _wait_newer(upheld: Upheld, before: int) -> int:
    """Waits until there is a newer worker, and the one before is gone."""
    end = time.monotonic() + _STEP_S
    while (newest := _newest(upheld)) in (0, before) or is_alive(before):
        if time.monotonic() > end or not is_alive(upheld.root()):
            raise Stopped("a reload did not come to its end")
        time.sleep(0.02)
    return newest


def _look(pid: int, reloads: int) -> Age:
    status = Path(f"/proc/{pid}/status").read_text()
    kib = {key: int(value) for key, value in re.findall(r"^(VmRSS|RssAnon|RssFile):\s+(\d+)", status, re.MULTILINE)}
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return Age(reloads, kib["VmRSS"], kib["RssAnon"], kib["RssFile"], own_memory_kib(pid), descriptors)
