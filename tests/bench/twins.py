"""The twins of `cases.py`: one server in two sizes, side by side on one core, measured in turn. Called by `run`.

The one that is not asked has nothing to do meanwhile, so a machine's drift hits both alike.
"""

from dataclasses import dataclass, field, replace

from cases import Twins
from measure import Sample, Target, sample, warm_up
from prepare import Prepared
from processes import ServerFailed
from servers import Server, named
from trial import Row, Setup, Trial, place, started


@dataclass
class TwinRow(Row):
    #: Of the first and of the second, turn by turn.
    samples: tuple[list[Sample], list[Sample]] = field(default_factory=lambda: ([], []))


def row(twins: Twins, servers: list[Server], prepared: Prepared) -> TwinRow | None:
    """What is known of the pair, if its server is wanted at all."""
    server = named(twins.server)
    return TwinRow(reason=prepared.lacking(server)) if server in servers else None


def trial(twins: Twins, row: TwinRow, setup: Setup) -> Trial:
    """One start of both."""
    first, second = (
        Trial(
            f"{twins.name}: {twins.server}, threads {threads}",
            named(twins.server),
            place(twins.app, setup, threads=threads),
            twins.question,
            row,
            lambda _target: None,
        )
        for threads in twins.threads
    )

    def measure(target: Target) -> None:
        with started(second, setup) as other:
            _measure(twins, row, (target, other), setup)

    return replace(first, name=f"{twins.name}: {twins.server}", measure=measure)


def _measure(twins: Twins, row: TwinRow, targets: tuple[Target, Target], setup: Setup) -> None:
    for target in targets:
        warm_up(twins.load, target, setup.load_cpu)
    for turn in range(setup.pairs):
        # A B B A …: whoever comes second comes first the next time.
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        pair = {which: sample(twins.load, targets[which], setup.load_cpu, setup.seconds) for which in order}
        if not all(one.requests for one in pair.values()):
            raise ServerFailed("answered no request under load")
        for which, samples in enumerate(row.samples):
            samples.append(pair[which])
