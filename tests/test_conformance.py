"""The table of HTTP/1.1's rules (tests/conformance), played whole, byte by byte, in two parts at every place, and with
random cuts and pauses: what becomes of a request never depends on how its bytes arrive.

TAPSTER_SEED repeats a run's random cuts; a failure tells it. TAPSTER_UPDATE_DOCS=1 writes docs/protocols.md.
"""

import os
import random

import pytest

from conformance import client, document, outcome, splits
from conformance.areas import AREAS
from conformance.servers import Servers, known_here
from harness import UNDER_TEST

SEED = os.environ.get("TAPSTER_SEED") or str(random.SystemRandom().randrange(1 << 32))


@pytest.fixture(scope="module")
def servers(serve_module, tmp_path_factory):
    """One server for each group of settings, started when a row first needs it."""
    return Servers(serve_module, tmp_path_factory)


#: Each area in each mode; an area stays in one process, where its servers are.
CASES = [
    pytest.param(area, mode, id=f"{area}-{mode}", marks=pytest.mark.xdist_group(f"conformance-{area}"))
    for area in AREAS
    for mode in splits.MODES
]


@pytest.mark.parametrize(("area", "mode"), CASES)
def test_every_rule_holds_however_the_bytes_arrive(servers, area, mode):
    played = play([(row, expected) for row in AREAS[area] if (expected := expected_here(row))], mode, servers)
    complaints = [complaint for row, exchanges in played if (complaint := complaint_about(row, exchanges))]
    shown = "\n".join(complaints)
    assert not complaints, f"{len(complaints)} of {len(played)} rules broken (TAPSTER_SEED={SEED}):\n{shown}"
    servers.expect_unharmed()


def play(asked, mode, servers):
    """Plays rows, those with the same settings side by side: [(row, its exchanges)]."""
    played = [
        (row, [client.Exchange(row, expected, plan) for plan in splits.plans(row, mode, SEED)])
        for row, expected in asked
    ]
    for settings in {repr(row.settings): row.settings for row, _ in asked}.values():
        group = [exchange for row, exchanges in played if row.settings == settings for exchange in exchanges]
        client.play(servers.of(settings).address, group, servers.greeting(settings))
    return played


def expected_here(row):
    """What the server under test must make of a row, or None where the row is not for it."""
    if not known_here(row):
        return None
    return row.gunicorn.expected if UNDER_TEST == "gunicorn" and row.gunicorn else row.expected


def complaint_about(row, exchanges):
    """What is wrong with what came of a row in one of its exchanges, or None."""
    for exchange in exchanges:
        wrong = outcome.mismatch(exchange.expected, exchange.outcome)
        # gunicorn's pages say how much had come.
        if not wrong and UNDER_TEST == "tapster" and exchange.outcome.comparable() != exchanges[0].outcome.comparable():
            wrong = f"not as when it came whole, which got {exchanges[0].outcome}"
        if wrong:
            found = f"{wrong}; sent {row.sent[:160]!r}, got {exchange.outcome}"
            return f"- {row.rule} ({row.source}), {exchange.name}: {found}"
    return None


def test_every_rule_has_a_name_of_its_own():
    rules = [row.rule for rows in AREAS.values() for row in rows]
    assert len(rules) == len(set(rules)), sorted({rule for rule in rules if rules.count(rule) > 1})


@pytest.mark.tapster
def test_the_document_lists_the_differences_from_gunicorn():
    if os.environ.get("TAPSTER_UPDATE_DOCS") == "1":
        document.write()
    assert document.is_current(), (
        f"{document.PATH.name} is out of date: TAPSTER_UPDATE_DOCS=1 with this test rewrites it"
    )
