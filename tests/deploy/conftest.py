"""Fixtures of the deployment tests; what they stand on is in `testbed/`."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.tree import base_tree


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


@pytest.fixture
def background():
    """Runs a call in a thread while the test goes on; its result is a future's."""
    with ThreadPoolExecutor() as threads:
        yield threads.submit
