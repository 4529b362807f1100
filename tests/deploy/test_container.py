"""deploy/container/Containerfile, built and run for real: Tapster as pid 1, with settings from the environment."""

import re

import pytest
from harness import wait_until
from harness.ports import free_port
from testbed.container import Container, build_image, remove_image
from testbed.deployment import Deployment
from testbed.tools import needs

pytestmark = [
    pytest.mark.tapster,
    pytest.mark.xdist_group("container"),
    needs("debootstrap", "podman", "buildah", "runc"),
]

WORKER_READY = "Worker ready"


@pytest.fixture(scope="module")
def image(tree):
    build_image(tree)
    yield
    remove_image()


@pytest.fixture
def deployment(tmp_path):
    """A folder with the test application, to be mounted over the image's own."""
    deployment = Deployment(tmp_path / "app")
    deployment.roll_out()
    return deployment


@pytest.fixture
def container(image, deployment, tmp_path):
    """Prepares a container that serves the deployment; the test starts it by `with`."""

    def prepare(*options, **environment):
        mount = f"--volume={deployment.folder}:/app:ro"
        settings = {"TAPSTER_WSGI_APP": "deployed:app", **environment}
        return Container(tmp_path, mount, *options, port=free_port(), environment=settings)

    return prepare


def test_example_application_of_the_image_answers(image, tmp_path):
    with Container(tmp_path, port=free_port()) as example:
        assert re.fullmatch(r"Hello from process \d+ on Python 3\.\d+\.\d+\.\n", example.ask())


def test_settings_come_from_the_environment(container):
    with container(WEB_CONCURRENCY=3) as running:
        wait_until(lambda: running.log().count(WORKER_READY) == 3, 20, running.log)
    with container(WEB_CONCURRENCY=3, TAPSTER_WORKERS=2) as running:
        wait_until(lambda: running.log().count(WORKER_READY) == 2, 20, running.log)
    with container(TAPSTER_LOG_LEVEL="warning") as running:
        assert WORKER_READY not in running.log()


def test_tapster_is_pid_1_and_parent_of_the_workers(container):
    with container() as running:
        assert running.ask("/parent") == "1"


def test_application_is_not_root(container):
    with container() as running:
        assert running.ask("/user").split()[0] == "10001"


def test_term_stops_with_exit_status_0(container):
    with container() as running:
        running.signal("TERM")
        assert running.exit_status() == 0, running.log()


def test_stop_lets_a_running_request_finish(container, background):
    with container() as running:
        answer = background(lambda: running.ask("/slow"))
        running.wait_for_log("slow request begun")
        running.stop()
        assert answer.result(20) == "finished"
        assert running.exit_status() == 0, running.log()


def test_orphans_of_the_application_are_reaped(container):
    with container() as running:
        family = set(running.processes())
        for _ in range(5):
            assert running.ask("/orphan") == "left behind"
        wait_until(lambda: set(running.processes()) == family, 20, lambda: f"{running.processes()} to be {family}", 0.1)


def test_hup_serves_the_mounted_code_anew(container, deployment):
    with container() as running:
        deployment.roll_out("two")
        running.signal("HUP")
        running.wait_for_log("a newer generation serves")
        assert running.ask() == "two"
        deployment.roll_out_broken()
        running.signal("HUP")
        running.wait_for_log("SyntaxError")
        assert running.ask() == "two"


def test_read_only_container_serves(container):
    with container("--read-only") as running:
        assert running.ask() == "one"
        assert running.ask("/writable") == "/tmp", "podman gives /tmp in memory of itself"


def test_broken_application_ends_the_container_with_status_3(container, deployment):
    deployment.roll_out_broken()
    with pytest.raises(AssertionError, match="(?s)ended with 3; .*SyntaxError"), container():
        pass
