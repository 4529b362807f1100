"""The cases of `cases.py`: each server under a load alone. Called by `run`."""

from dataclasses import dataclass, field

from cases import Case
from measure import Sample, Target, sample, warm_up
from prepare import Prepared
from processes import ServerFailed
from servers import Server
from trial import Row, Setup, Trial, place


@dataclass
class PlainRow(Row):
    #: By number of connections, in the order of the rounds.
    samples: dict[int, list[Sample]] = field(default_factory=dict)


def rows(case: Case, servers: list[Server], prepared: Prepared) -> dict[Server, PlainRow]:
    """A row for each server that the case is asked of."""
    asked = [server for server in servers if not case.servers or server.name in case.servers]
    return {server: PlainRow(reason=prepared.lacking(server, case.packages, case.transfers)) for server in asked}


def trial(case: Case, server: Server, row: PlainRow, setup: Setup) -> Trial:
    """One start, measured at each number of connections."""

    def measure(target: Target) -> None:
        warm_up(case.load(min(case.connections)), target, setup.load_cpu)
        for connections in case.connections:
            one = sample(case.load(connections), target, setup.load_cpu, setup.seconds)
            if one.requests == 0:
                raise ServerFailed("answered no request under load")
            row.samples.setdefault(connections, []).append(one)

    where = place(case.app, setup, threads=case.threads)
    return Trial(f"{case.name}: {server.name}", server, where, case.question, row, measure)
