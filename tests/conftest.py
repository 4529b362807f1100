"""Fixtures of the black-box suite: servers that are checked for leftovers at the end, and logs in failures' reports."""

from contextlib import ExitStack

import pytest

from harness import TAPSTER, UNDER_TEST, Server
from harness.gate import Gate
from harness.interpreters import default_interpreter
from harness.paths import VENVS
from harness.server import RUNNING
from harness.upgrades import Upgrades, deploy


def pytest_collection_modifyitems(items):
    """Skips what is about Tapster itself where another server is under test."""
    if UNDER_TEST == "tapster":
        return
    skip = pytest.mark.skip(reason=f"about Tapster itself, not {UNDER_TEST}")
    for item in items:
        if item.get_closest_marker("tapster"):
            item.add_marker(skip)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Adds the logs of the running servers to the report of a failing test."""
    report = (yield).get_result()
    if report.failed:
        for server in RUNNING:
            report.sections.append((f"server log {server.log_path.name}", server.tail()))


@pytest.fixture(scope="session", autouse=True)
def _built():
    """Says what to do where the suite is run before anything was built."""
    if not (VENVS / "default").exists():
        pytest.exit("no venvs under target/venvs: run tests/run, which makes them", returncode=2)
    if UNDER_TEST == "tapster" and not TAPSTER.exists():
        pytest.exit(f"{TAPSTER} is not built: run tests/run, or cargo build --release", returncode=2)


@pytest.fixture
def serve(tmp_path):
    """Starts servers in the test's own folder; at the test's end each must go, and leave nothing behind."""
    yield from _servers(lambda: tmp_path)


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory):
    """As `serve`, for servers that a module's tests share, each in a folder of its own: one's settings are not another's."""
    yield from _servers(lambda: tmp_path_factory.mktemp("server"))


def _servers(make_directory):
    servers = []

    def start(app, *options, wait=True, cwd=None, **settings):
        server = Server(app, *options, cwd=cwd or make_directory(), **settings)
        servers.append(server)
        return server.start() if wait else server.launch()

    yield start
    complaints = []
    for server in servers:
        try:
            server.close()
        except AssertionError as error:
            complaints.append(str(error))
    assert not complaints, "\n\n".join(complaints)


@pytest.fixture
def make_gate(serve, tmp_path):
    """Makes gates at which requests stay; all are opened before the servers are ended, whatever happens."""
    with ExitStack() as stack:

        def make(name):
            gate = Gate(tmp_path / name)
            stack.callback(gate.close)
            return gate

        yield make


@pytest.fixture
def gate(make_gate):
    """One of them."""
    return make_gate("gate")


@pytest.fixture
def python():
    """The default CPython's interpreter, as an argument for --python."""
    return str(default_interpreter().python)


@pytest.fixture
def upgrades(serve, tmp_path):
    """Starts servers of version 1 that are to be upgraded."""
    with ExitStack() as stack:

        def start(*options, **settings):
            if not (tmp_path / "deployed.py").exists():
                deploy(tmp_path, 1)
            server = serve("deployed:application", "--pythonpath", str(tmp_path), *options, **settings)
            return stack.enter_context(Upgrades(server))

        yield start
