"""Fixtures of the tests behind real proxies; what they stand on is in `fronts/` and `smuggling/`."""

from pathlib import Path

import pytest

from fronts import front as running

#: The applications of these tests.
APPS = Path(__file__).parent / "apps"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Adds what the running proxies wrote to the report of a failing test."""
    report = (yield).get_result()
    if report.failed:
        for front in running.RUNNING:
            report.sections.append(("proxy", front.tail()))


@pytest.fixture(scope="module")
def new_record(tmp_path_factory):
    """Makes a file for `recorder` to write to."""

    def make():
        path = tmp_path_factory.mktemp("record") / "requests"
        path.touch()
        return path

    return make


@pytest.fixture(scope="module")
def serve_recorder(serve_module, new_record):
    """Starts a server with the recording application, one worker that keeps a proxy's connections, and returns it with
    its record."""

    def start(*options, **settings):
        record = new_record()
        env = {"PYTHONPATH": str(APPS), "RECORD": str(record)}
        server = serve_module("recorder:application", "--keep-alive", "60", *options, env=env, **settings)
        return server, record

    return start
