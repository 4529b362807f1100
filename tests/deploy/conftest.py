"""Fixtures of the deployment tests; what they stand on is in `testbed/`."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.ports import free_port

from testbed.deployment import Deployment
from testbed.machine import Machine
from testbed.tree import base_tree
from testbed.unit import SHARED, Unit


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Adds what systemd says of the unit, and all that its journal has, to the report of a failing test."""
    report = (yield).get_result()
    unit = getattr(item, "funcargs", {}).get("unit")
    if report.failed and unit:
        report.sections.append(("the unit", unit.story()))


@pytest.fixture(scope="session")
def tree():
    """The minimal Debian that machine and image are made of."""
    return base_tree()


@pytest.fixture(scope="module")
def installed(tree, tmp_path_factory):
    """The unit, installed in a machine of the file's own."""
    folder = tmp_path_factory.mktemp("machine")
    # systemd-nspawn's own user must be able to look into what is shared.
    deployment = Deployment(folder / "app")
    with Machine(tree, folder / "console.log", {**SHARED, deployment.folder: "/srv/app"}) as machine:
        port = free_port()
        unit = Unit(machine, deployment, port)
        unit.install()
        unit.configure({"TAPSTER_BIND": f"127.0.0.1:{port}", "TAPSTER_WORKERS": 2})
        deployment.write("tapster.toml", 'wsgi_app = "deployed:app"\npython = "/srv/app/venv/bin/python"\n')
        yield unit
        unit.reset()


@pytest.fixture
def background():
    """Runs a call in a thread while the test goes on; its result is a future's."""
    with ThreadPoolExecutor() as threads:
        yield threads.submit
