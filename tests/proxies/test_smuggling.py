"""No client's bytes are taken for another's request: attacks through real proxies, whose logs tell what they sent."""

from contextlib import ExitStack

import pytest
from fronts import Apache, HAProxy, Nginx, needs
from smuggling import ATTACKS, PIPELINED, REFUSED, DirectScene, Scene
from smuggling.naive import NaiveBackend

# One worker serves all: where an attacker's unfinished body occupies it, as with gunicorn, the victims wait forever.
pytestmark = pytest.mark.tapster

#: Each kind of front: its class and variant.
FRONTS = {
    "nginx": (Nginx, {}),
    "nginx-unbuffered-lax": (Nginx, {"buffering": False, "lax": True}),
    "haproxy-buffered": (HAProxy, {"buffering": True}),
    "haproxy-lax": (HAProxy, {"lax": True}),
    "apache": (Apache, {}),
    "apache-lax-without-headers": (Apache, {"lax": True, "add_headers": False}),
}
#: Small, so that an attack can exceed it, and larger than a victim's body.
LIMIT = ("--limit-request-body", "64k")

every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


def on_each_front(group):
    """Parameters of a fixture: the fronts, each in an xdist group of its own."""
    return [
        pytest.param(name, marks=[pytest.mark.xdist_group(f"{group}-{name}"), needs(kind.PROGRAM)])
        for name, (kind, _) in FRONTS.items()
    ]


def front_of(name, backend, folder):
    """The front of that name before a backend."""
    kind, variant = FRONTS[name]
    return kind(backend, folder, **variant)


# Tapster behind each front.


@pytest.fixture(scope="module", params=on_each_front("smuggling"))
def scene(request, serve_recorder, tmp_path_factory):
    """A front before Tapster."""
    server, record = serve_recorder(*LIMIT)
    with front_of(request.param, server.address, tmp_path_factory.mktemp("front")) as front:
        scene = Scene(front, record)
        yield scene
        # What came too late for the test that it belongs to.
        found = scene.offences()
        assert not found, "\n".join(found)


@every_attack
def test_through_a_proxy_nothing_is_smuggled(scene, attack):
    found = scene.violations(attack)
    assert not found, "\n".join(found)


def test_victims_travel_on_the_connection_that_the_attacker_used(scene):
    attackers = scene.front.request("POST", "/attacker", b"body").json["connection"]
    victims = [scene.front.get("/victim").json["connection"] for _ in range(4)]
    assert attackers in victims


# Tapster alone.


@pytest.fixture(scope="module")
def direct(serve_recorder):
    """Tapster without a front."""
    server, record = serve_recorder(*LIMIT)
    return DirectScene(server.address, record)


@pytest.mark.xdist_group("smuggling-direct")
@every_attack
def test_without_a_proxy_nothing_is_served_after_a_refusal(direct, attack):
    check_direct(direct, attack)


def check_direct(direct, attack):
    """Asserts what a server does with an attack that comes without a proxy."""
    answers, targets, hidden = direct.attempt(attack)
    refusals = [number for number, (status, served) in enumerate(answers) if not served and status >= 200]
    assert not refusals or refusals[0] == len(answers) - 1, f"answers after a refusal: {answers}"
    if attack.direct != PIPELINED:
        assert hidden not in targets
    if attack.direct == REFUSED:
        assert targets == [], f"served: {targets}; answers: {answers}"
        assert all(400 <= answers[number][0] < 600 for number in refusals), answers


# The tests themselves: a backend that makes the classic mistakes is found out behind each front.

#: What each front passes on to a backend that falls for it. What is not here, the front refuses or makes plain.
FOOLED = {
    "nginx": ["CL.0-GET", "TE.0-GET", "expect-of-GET"],
    "nginx-unbuffered-lax": ["CL.0-GET", "CL.TE-underscore", "name-forged-id-underscore"],
    "haproxy-buffered": ["CL.0-GET", "CL.TE-underscore", "name-forged-id-one-underscore"],
    "haproxy-lax": ["CL.TE-space-before-colon", "CL.TE-tab-before-colon", "name-forged-id-space"],
    "apache": ["CL.0-GET", "CL.TE-underscore", "after-too-much-whole"],
    "apache-lax-without-headers": ["TE.0-GET", "CL.TE-underscore", "name-forged-id-underscore"],
}
ROWS = {attack.name: attack for attack in ATTACKS}


@pytest.fixture
def naive_scene(new_record, tmp_path):
    """A front, by its name, before the naive backend."""
    with ExitStack() as started:

        def start(name):
            record = new_record()
            backend = NaiveBackend(record)
            # The backend ends first, so that no thread of the front's waits for it.
            front = started.enter_context(front_of(name, backend.address, tmp_path / "front"))
            started.enter_context(backend)
            return Scene(front, record)

        yield start


@pytest.mark.parametrize(
    ("name", "attack"),
    [
        pytest.param(name, ROWS[row], id=f"{name}-{row}", marks=needs(FRONTS[name][0].PROGRAM))
        for name, rows in FOOLED.items()
        for row in rows
    ],
)
def test_a_naive_backend_is_found_out(naive_scene, name, attack):
    scene = naive_scene(name)
    assert scene.violations(ROWS["pipelined"]) == [], "plain requests are no violation"
    assert any("/smuggled-" in found or "forged" in found for found in scene.violations(attack))


@pytest.mark.parametrize("row", ["after-too-much-whole", "CL.TE-space-before-colon", "TE.CL-xchunked", "head-bare-lf"])
def test_a_naive_backend_alone_is_found_out(new_record, row):
    record = new_record()
    with NaiveBackend(record) as backend:
        direct = DirectScene(backend.address, record)
        check_direct(direct, ROWS["pipelined"])
        with pytest.raises(AssertionError):
            check_direct(direct, ROWS[row])
