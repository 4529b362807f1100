"""The crowds' results as Markdown: one table for each crowd."""

from collections.abc import Callable
from statistics import median

import wanted
from crowded import CrowdRow, Pair
from crowds import Contender, Crowd, Normal
from measure import Sample
from servers import TAPSTER
from table import cell, failures, not_measured
from wanted import Finding, Wanted, find

_INTRODUCTION = """## A normal client beside a crowd

One worker serves a crowd of clients that ask for little and stay long, and a normal client beside them (`wrk`). At one
start of a server, that client is measured without and with them by turns (A B A B …), so that a machine's drift
cancels; a ratio is the median of the pairs', with the lowest and the highest. Of peers there are fewer pairs. Slow
clients are played by `slowhttptest` at the lowest priority, never on the server's core; while a server is without them
they are at a listener that nobody serves. *Player* is what `slowhttptest` used of a CPU in each half: on a machine of
two CPUs that is taken from wrk, so where the two halves differ, requests/s and p99 compare the load as well as the
server. *CPU* is the ratio of the server's CPU time per request, the crowd's included. *Held*: how many of the crowd are
still connected at the end. *Each*: what one of the crowd costs the server's processes while nobody else is there, in
memory (PSS, without the kernel's) and in CPU time.
"""

_SPEED = ("requests/s", "ratio", "p99, ms", "ratio", "CPU", "player")
_COLUMNS = ("server", "normal client", *_SPEED, "held", "KiB each", "CPU µs/s each", "notes")


def sections(results: dict[Crowd, dict[Contender, CrowdRow]]) -> list[str]:
    """The introduction and a section for each crowd, or nothing if there are no results."""
    return [_INTRODUCTION, *(_section(crowd, rows) for crowd, rows in results.items())] if results else []


def findings(crowd: Crowd, rows: dict[Contender, CrowdRow]) -> list[Finding]:
    """What came of the figures that are wanted of tapster's normal clients."""
    ours = [row for contender, row in rows.items() if contender.server == TAPSTER]
    return [_found(one, row, normal, crowd) for row in ours for one in crowd.wanted for normal in crowd.normal]


def samples(rows: dict[Contender, CrowdRow]) -> list[Sample]:
    """All of them, for what is said of the whole run."""
    pairs = [pair for row in rows.values() for pairs in row.pairs.values() for pair in pairs]
    return [one for pair in pairs for one in (pair.without, pair.beside)]


def _found(one: Wanted, row: CrowdRow, normal: Normal, crowd: Crowd) -> Finding:
    pairs = row.pairs.get(normal, [])
    place = normal.title if len(crowd.normal) > 1 else ""
    if isinstance(one.against, float):
        # Of what a crowd costs there is one measurement, at the first pair.
        return find(one, [row] if pairs else [], [], place)
    return find(one, [pair.beside for pair in pairs], [pair.without for pair in pairs], place)


def _section(crowd: Crowd, rows: dict[Contender, CrowdRow]) -> str:
    lines = [
        f"### {crowd.title}",
        "",
        f"`{crowd.name}`, `{crowd.app}`. {crowd.text}",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += [_line(contender, normal, row) for contender, row in rows.items() for normal in crowd.normal]
    return "\n".join([*lines, *wanted.lines(findings(crowd, rows)), ""])


def _line(contender: Contender, normal: Normal, row: CrowdRow) -> str:
    pairs = row.pairs.get(normal, [])
    notes = [*row.notes]
    samples = [one for pair in pairs for one in (pair.without, pair.beside)]
    notes += failures(samples)
    notes += not_measured(row.reason, bool(samples))
    if pairs:
        answered = [pair for pair in pairs if pair.without.requests and pair.beside.requests]
        figures = [
            _change(pairs, lambda one: one.requests_per_s, ",.0f"),
            _ratio(pairs, lambda one: one.requests_per_s),
            _change(answered, lambda one: one.p99_us / 1000, ".2f"),
            _ratio(answered, lambda one: one.p99_us),
            _ratio(answered, lambda one: one.cpu_us_per_request),
            _change(pairs, lambda one: one.beside, ".2f"),
            f"{median(row.held):,.0f}",
            f"{row.kib_each:.2f}",
            f"{row.cpu_us_per_s_each:.1f}",
        ]
    else:
        figures = ["–"] * 9
    return "| " + " | ".join([contender.name, normal.title, *figures, cell("; ".join(notes))]) + " |"


def _change(pairs: list[Pair], of: Callable[[Sample], float], form: str) -> str:
    if not pairs:
        return "–"
    without = median(of(pair.without) for pair in pairs)
    beside = median(of(pair.beside) for pair in pairs)
    return f"{without:{form}} → {beside:{form}}"


def _ratio(pairs: list[Pair], of: Callable[[Sample], float]) -> str:
    ratios = [of(pair.beside) / of(pair.without) for pair in pairs if of(pair.without)]
    return f"**{median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "–"
