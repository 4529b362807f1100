"""How long a worker's place is empty: from the signal that kills it until the log says that its successor is there.

The log is read without a pause meanwhile, so a line is seen within a fraction of a millisecond. gunicorn's line comes a
little earlier in a worker's life than Tapster's: it has been forked, and does not accept yet.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from upheavals import serves
from upheld import GUNICORN_PRELOADED, PRELOADED, TAPSTER, Kind, Site, Stopped, Upheld, is_alive

#: Who dies younger than a second after it was ready is replaced more slowly, in Tapster.
_AGE_S = 1.2
_KINDS = (PRELOADED, TAPSTER, GUNICORN_PRELOADED)


def measure(prepared, only: list[str], count: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """The times in milliseconds, by server."""
    found = {}
    for kind in _KINDS:
        if any(name in prepared.missing for name in kind.packages):
            continue
        if only and not any(word in kind.name for word in only):
            continue
        say(f"respawn: {kind.name}")
        with tempfile.TemporaryDirectory(prefix="tapster-lost-") as folder:
            with Upheld(kind, Site(Path(folder), prepared.tapster)) as upheld:
                if serves(upheld, 30):
                    found[kind.name] = [_hole_ms(upheld, kind) for _ in range(count)]
    return found


def _hole_ms(upheld: Upheld, kind: Kind) -> float:
    living = [int(pid) for pid in kind.ready.findall(upheld.log()) if is_alive(int(pid))]
    time.sleep(_AGE_S)
    with upheld.log_path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        seen, begun = b"", time.monotonic()
        os.kill(random.choice(living), signal.SIGKILL)
        while not kind.ready.search(seen.decode(errors="replace")):
            seen += log.read()
            if time.monotonic() > begun + 30:
                raise Stopped("no successor within 30 s")
        return (time.monotonic() - begun) * 1000
