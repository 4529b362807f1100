"""The figures that are wanted of tapster, as data, and whether they were reached.

A figure is a ratio of two measurements of one run, or of a measurement to a number. Which measurements are compared
is known to those that make them (`table`, `twin_table`, `crowd_table`); here they come as pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Metric:
    """What a figure is about."""

    title: str
    #: Of one measurement: nearly always a `Sample`.
    of: Callable[[Any], float]


#: A server that answered nothing took for ever.
_NEVER = float("inf")

CPU = Metric("CPU per request", lambda one: one.cpu_us_per_request if one.requests else _NEVER)
RATE = Metric("requests/s", lambda one: one.requests_per_s)
SPEED = Metric("MB/s", lambda one: one.bytes_per_s / 1e6)
P99 = Metric("p99", lambda one: one.p99_us if one.requests else _NEVER)


@dataclass(frozen=True)
class Wanted:
    """A ratio that tapster has to reach, or to stay under."""

    metric: Metric
    #: Whether more than the ratio is what is wanted.
    at_least: bool
    ratio: float
    #: The name of a server, of tapster's other half in a pair, or a number in the unit of the metric.
    against: str | float
    #: At which number of connections; `None` for each that is measured.
    connections: int | None = None

    @property
    def asked(self) -> str:
        """As it stands on the page."""
        bound = "at least" if self.at_least else "at most"
        against = f"{self.against:,.0f}" if isinstance(self.against, float) else self.against
        return f"{self.metric.title} {bound} {self.ratio:.2f} × {against}"


def at_most(ratio: float, metric: Metric, against: str | float, connections: int | None = None) -> Wanted:
    """Tapster may have so many times what the other has, and no more."""
    return Wanted(metric, False, ratio, against, connections)


def at_least(ratio: float, metric: Metric, against: str | float, connections: int | None = None) -> Wanted:
    """Tapster must have so many times what the other has, or more."""
    return Wanted(metric, True, ratio, against, connections)


@dataclass(frozen=True)
class Finding:
    """What came of one wanted figure."""

    wanted: Wanted
    #: Where it is wanted, if a section has several places.
    place: str
    #: One for each pair; none if one side was not measured.
    ratios: tuple[float, ...]

    @property
    def is_met(self) -> bool:
        """Of a finding with ratios."""
        middle = median(self.ratios)
        return middle >= self.wanted.ratio if self.wanted.at_least else middle <= self.wanted.ratio

    @property
    def verdict(self) -> str:
        """As it stands on the page."""
        if not self.ratios:
            return "**not measured**"
        return "met" if self.is_met else "**short**"


def find(wanted: Wanted, ours: list, theirs: list, place: str = "") -> Finding:
    """Compares measurements that were taken in turn: the first with the first, and so on."""
    of = wanted.metric.of
    if isinstance(wanted.against, float):
        return Finding(wanted, place, tuple(of(one) / wanted.against for one in ours))
    pairs = [(of(one), of(other)) for one, other in zip(ours, theirs) if of(other)]
    return Finding(wanted, place, tuple(one / other for one, other in pairs))


def spread(values: list[float] | tuple[float, ...], form: str) -> str:
    """The median, with the lowest and the highest if there are several."""
    if len(values) < 2:
        return f"{values[0]:{form}}" if values else "–"
    return f"{median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def lines(findings: list[Finding]) -> list[str]:
    """A table with a line for each figure, or nothing if none is wanted."""
    if not findings:
        return []
    table = ["", "| wanted | measured | |", "|---|---:|---|"]
    for one in findings:
        asked = f"{one.wanted.asked}, {one.place}" if one.place else one.wanted.asked
        table.append(f"| {asked} | {spread(one.ratios, '.3f')} | {one.verdict} |")
    return table


def summary(findings: dict[str, list[Finding]]) -> str:
    """A sentence on all of them, by the name of the section, with those named that fall short."""
    everything = [one for found in findings.values() for one in found]
    measured = [one for one in everything if one.ratios]
    if not measured:
        return ""
    met = sum(one.is_met for one in measured)
    text = f"Of {len(measured)} wanted figures {met} were met"
    short = {name: [one for one in found if one.ratios and not one.is_met] for name, found in findings.items()}
    named = [f"`{name}`" + (f" ({len(found)})" if len(found) > 1 else "") for name, found in short.items() if found]
    if named:
        text += f"; **short**: {', '.join(named)}"
    unmeasured = len(everything) - len(measured)
    return f"{text}. {unmeasured} could not be measured." if unmeasured else f"{text}."
