"""Fixtures of the deployment tests; what they stand on is in `testbed/`."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.tree import base_tree


@pytest.fixture(scope="session")
def tree():
    """The minimal Debian that machine and image are made of."""
    return base_tree()


@pytest.fixture
def background():
    """Runs a call in a thread while the test goes on; its result is a future's."""
    with ThreadPoolExecutor() as threads:
        yield threads.submit
