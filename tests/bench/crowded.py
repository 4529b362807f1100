"""The crowds of `crowds.py`: a normal client measured without and with a crowd, by turns, so that drift cancels.

Called by `run`. A server that stands still under a crowd answers nothing for the length of the measurement; that is a
result and no failure. One that does not come back when the crowd has gone has failed.
"""

import time
from dataclasses import dataclass, field, replace

from crowds import Contender, Crowd, Normal
from load import NEW_CONNECTIONS
from measure import Sample, Target, sample, warm_up
from prepare import Prepared
from probe import Connection
from processes import ServerFailed, cpu_seconds, memory_kib, wait_until_quiet
from servers import Server, named
from sockets import established, wait_gone
from trial import Row, Setup, Trial, place

#: For a server to have done what can be done at once for a crowd: 500 replies of 4 MiB are 2 GB.
_ARRIVAL_DEADLINE_S = 30.0
#: For a server to answer again when a crowd has gone.
_RECOVERY_DEADLINE_S = 20.0
#: How long the cost of a crowd alone is watched.
_WATCH_S = 2.0


@dataclass(frozen=True)
class Pair:
    without: Sample
    beside: Sample


@dataclass
class CrowdRow(Row):
    pairs: dict[Normal, list[Pair]] = field(default_factory=dict)
    #: How many of the crowd were connected when the measurement ended.
    held: list[int] = field(default_factory=list)
    #: What each of the crowd costs the server: memory at a fresh start, and CPU time, with nobody else there.
    kib_each: float = 0.0
    cpu_us_per_s_each: float = 0.0


def rows(crowd: Crowd, wanted: list[Server], prepared: Prepared) -> dict[Contender, CrowdRow]:
    """A row for each contender that is wanted."""
    lacking = crowd.members.lacking() or ""
    asked = {contender: named(contender.server) for contender in crowd.contenders}
    return {
        contender: CrowdRow(reason=lacking or prepared.lacking(server))
        for contender, server in asked.items()
        if server in wanted
    }


def trial(crowd: Crowd, contender: Contender, row: CrowdRow, setup: Setup) -> Trial:
    """One start, at which the crowd comes and goes as often as the setup says."""

    def measure(target: Target) -> None:
        for normal in crowd.normal:
            warm_up(normal.load, _as_seen_by(normal, target), setup.load_cpu)
        for turn in range(crowd.pairs(contender, setup.pairs)):
            _pair(crowd, row, target, setup, is_first=turn == 0)
            wait_gone(target.port, _RECOVERY_DEADLINE_S)
            _wait_until_it_answers(target.port, crowd.path)

    where = place(
        crowd.app,
        setup,
        threads=contender.threads or 1,
        keep_alive_s=crowd.keep_alive_s,
        worker_connections=crowd.worker_connections,
    )
    return Trial(f"{crowd.name}: {contender.name}", named(contender.server), where, crowd.question, row, measure)


def _pair(crowd: Crowd, row: CrowdRow, target: Target, setup: Setup, *, is_first: bool) -> None:
    with crowd.members.elsewhere(setup.crowd_cpu) as player:
        without = _samples(crowd, target, setup, player)
    wait_until_quiet(target.root, _ARRIVAL_DEADLINE_S)
    memory = memory_kib(target.root)
    with crowd.members.at(target.port, setup.crowd_cpu) as player:
        wait_until_quiet(target.root, _ARRIVAL_DEADLINE_S)
        if is_first:
            row.kib_each = (memory_kib(target.root) - memory) / crowd.members.count
            row.cpu_us_per_s_each = _cpu_share(target.root) * 1e6 / crowd.members.count
        beside = _samples(crowd, target, setup, player)
        row.held.append(min(established(target.port), crowd.members.count))
    for normal, before, after in zip(crowd.normal, without, beside, strict=True):
        row.pairs.setdefault(normal, []).append(Pair(before, after))


def _samples(crowd: Crowd, target: Target, setup: Setup, player: int | None) -> list[Sample]:
    return [
        sample(normal.load, _as_seen_by(normal, target), setup.load_cpu, setup.seconds, player)
        for normal in crowd.normal
    ]


def _as_seen_by(normal: Normal, target: Target) -> Target:
    """A client that asks for its connection to be closed must not count that as an error."""
    return replace(target, keeps_alive=target.keeps_alive and normal.load.wrk != NEW_CONNECTIONS)


def _cpu_share(root: int) -> float:
    start, before = time.monotonic(), sum(cpu_seconds(root).values())
    time.sleep(_WATCH_S)
    return (sum(cpu_seconds(root).values()) - before) / (time.monotonic() - start)


def _wait_until_it_answers(port: int, path: str) -> None:
    end = time.monotonic() + _RECOVERY_DEADLINE_S
    while True:
        try:
            with Connection(port) as one:
                one.ask(path)
                return
        except (OSError, ServerFailed) as error:
            if time.monotonic() > end:
                raise ServerFailed(f"no answer {_RECOVERY_DEADLINE_S:.0f} s after the crowd had gone") from error
