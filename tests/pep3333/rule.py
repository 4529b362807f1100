"""What a rule is, and the words that rules are written in."""

from dataclasses import dataclass, field

MUST, SHOULD = "MUST", "SHOULD"
#: What the PEP states as a fact, or as a fatal error, without either word.
STATED = "stated"
#: What the PEP does not say, and a user may nevertheless expect.
BEYOND = "beyond"


class Breach(AssertionError):
    """The rule does not hold; the text says why, in few words."""


class NotAsked(Exception):
    """The rule can't be asked of this server; the text says why."""


@dataclass(frozen=True)
class Start:
    """How the server is started for a rule: as every server starts by default, where the rule is about nothing else."""

    application: str = "served:application"
    #: How many threads a worker may be in the application with.
    threads: int = 1
    workers: int = 1
    #: A name and a value that the deployer wants in the environ.
    pair: tuple | None = None


@dataclass(frozen=True, eq=False)
class Rule:
    """One thing that is asked of a server."""

    #: A sentence: the rule's name in the tests, and in the table.
    words: str
    #: Of which of the PEP's sentences it is (`sentences.SENTENCES`).
    sentence: str
    check: object
    starts: tuple = (Start(),)
    #: Servers of which the rule can't fairly be demanded where they break it, and why: a matter of how the PEP is
    #: read, or of a setting. They neither pass nor fail.
    reading: dict = field(default_factory=dict)
    #: Why Tapster breaks it on purpose; empty where it does not.
    deviation: str = ""
    #: The words of rules without which this one says nothing: it is asked of a peer only where they hold.
    needs: tuple = ()
    #: What is asked of Tapster alone, since nothing can be learned of it from outside.
    only_tapster: bool = False


class Area:
    """The rules of one area, in the order in which they stand in its module."""

    def __init__(self):
        self.rules = []

    def rule(self, sentence, words, starts=(Start(),), **more):
        """Makes a rule of a function."""

        def add(check):
            self.rules.append(Rule(words, sentence, check, starts, **more))
            return check

        return add


def demand(condition, why):
    """A breach, unless the condition holds."""
    if not condition:
        raise Breach(why)


def demand_equal(found, expected, what):
    """A breach that shows both, unless they are equal."""
    if found != expected:
        raise Breach(f"{what} is {_cut(found)}, not {_cut(expected)}")


def _cut(value, most=44):
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}…"
