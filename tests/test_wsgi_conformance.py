"""PEP 3333 as a table of rules (tests/pep3333), asked of the server under test one by one.

A rule that Tapster breaks on purpose says why, and fails here as soon as it is kept after all. tests/pep3333/compare
asks the same rules of other servers, and writes docs/wsgi.md.
"""

import itertools

import pytest

from harness import ROOT, UNDER_TEST
from pep3333.areas import RULES
from pep3333.known import GUNICORN
from pep3333.peers import APPS
from pep3333.prepare import pins
from pep3333.sentences import BY_NAME, SENTENCES, SERVER
from pep3333.verdict import NOT_ASKED, PASSES, judge


class Shared:
    """The servers of this module by how they are started; `serve` is the fixture that sees to their end."""

    def __init__(self, serve):
        self._serve = serve
        self._running = {}

    def of(self, start):
        """The server that was started in this way, started if it does not run yet."""
        if start not in self._running:
            threads = ["--threads", str(start.threads)] if start.threads > 1 else []
            self._running[start] = self._serve(
                start.application,
                "--chdir",
                str(APPS),
                *threads,
                workers=start.workers,
                env=dict([start.pair] if start.pair else []),
            )
        return self._running[start]

    def renew(self, start):
        """Leaves a server that is of no use any more to the fixture; the next rule starts another."""
        self._running.pop(start)


@pytest.fixture(scope="module")
def servers(serve_module):
    """One server for each way in which rules want it started, started when a rule first needs it."""
    return Shared(serve_module)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Makes a folder for each question, whose name stands in no other folder's."""
    numbers = itertools.count(1)
    return lambda: tmp_path_factory.mktemp(f"rule-{next(numbers)}-", numbered=False)


@pytest.mark.xdist_group("wsgi-conformance")
@pytest.mark.parametrize("rule", RULES, ids=[rule.words for rule in RULES])
def test_pep_3333(servers, folders, rule):
    verdict = judge(rule, UNDER_TEST, servers, folders)
    deviation = rule.deviation if UNDER_TEST == "tapster" else GUNICORN.get(rule.words)
    if verdict.outcome == NOT_ASKED:
        pytest.skip(verdict.why)
    if not deviation:
        assert verdict.outcome == PASSES, f"{verdict.why}; the PEP: {BY_NAME[rule.sentence].words}"
    elif verdict.outcome == PASSES:
        pytest.fail(f"it is kept now, so it is no deviation any more: {deviation}")
    else:
        pytest.xfail(f"{verdict.why}: {deviation}")


@pytest.mark.tapster
def test_every_sentence_that_binds_a_server_has_a_rule_or_a_reason_for_having_none():
    asked = {rule.sentence for rule in RULES}
    for sentence in SENTENCES:
        wanted = sentence.binds == SERVER and not sentence.untested
        assert (sentence.name in asked) == wanted, sentence


@pytest.mark.tapster
def test_rules_and_sentences_have_names_of_their_own():
    words = [rule.words for rule in RULES]
    assert len(words) == len(set(words)), sorted({each for each in words if words.count(each) > 1})
    assert len(SENTENCES) == len({sentence.name for sentence in SENTENCES})
    assert {needed for rule in RULES for needed in rule.needs} <= set(words)


@pytest.mark.tapster
def test_the_document_has_every_rule():
    page = (ROOT / "docs" / "wsgi.md").read_text()
    missing = [rule.words for rule in RULES if f"| {rule.words} |" not in page]
    assert not missing, f"tests/pep3333/compare --write docs/wsgi.md renews it: {missing}"


@pytest.mark.tapster
def test_peers_that_are_measured_too_have_the_same_version_in_both_lists():
    lines = (ROOT / "tests" / "bench" / "requirements.txt").read_text().splitlines()
    measured = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert {name: version for name, version in measured.items() if name in pins()}.items() <= pins().items()
