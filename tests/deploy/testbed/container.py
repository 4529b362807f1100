"""The image of deploy/container, and containers run from it as pid 1 by podman and runc.

Images and containers are kept in a store of their own under target/, so that the system's are never touched.
"""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

from harness import ROOT, TAPSTER, request, wait_until

from .tools import BOUND_TO_THE_TESTS, run
from .tree import CACHE, locked

#: One name for each test process: several test runs may share the store.
_IMAGES = "localhost/tapster-example-"
IMAGE = f"{_IMAGES}{os.getpid()}"
#: What a container may take to be there, and what `podman` may take for anything.
START_DEADLINE_S = 60
#: The limits are those of an ordinary login; the defaults of a container engine need more than a test machine gives.
_RUN = ["--rm", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]


def build_image(tree: Path):
    """Builds deploy/container/Containerfile and names it IMAGE.

    There is no registry to ask here: Python comes from the Debian tree, and the files of the build stage are those
    that cargo has already built on this system.
    """
    with locked("image"):
        base = f"localhost/{tree.name}:latest"
        if _podman("image", "exists", base, check=False).returncode != 0:
            _import(tree, base)
        _remove_abandoned()
        built = CACHE / "built"
        shutil.rmtree(built, ignore_errors=True)
        _install(TAPSTER, built / "out/bin/tapster")
        _install(TAPSTER.with_name("tapsterctl"), built / "out/bin/tapsterctl")
        _install(TAPSTER.parent / "lib_tapster.so", built / "out/lib/tapster/lib_tapster.so")
        options = ["--isolation=chroot", "--pull-never", f"--build-context=build={built}", f"--build-arg=PYTHON={base}"]
        containerfile = ROOT / "deploy" / "container" / "Containerfile"
        run("buildah", *_store(), "bud", *options, f"--tag={IMAGE}", f"--file={containerfile}", ROOT, deadline=180)


def remove_image():
    """Removes what `build_image` made; the base stays for the next time."""
    with locked("image"):
        _podman("image", "rm", "--force", IMAGE, check=False)


def _remove_abandoned():
    """Removes the images of test processes that were killed."""
    listed = _podman("images", "--format={{.Repository}}").stdout.split()
    for name in listed:
        owner = name.removeprefix(_IMAGES)
        if owner != name and not Path("/proc", owner).exists():
            _podman("image", "rm", "--force", name, check=False)


class Container:
    """One container, started by `with`, and gone at the end. `options` go to `podman run`."""

    def __init__(self, folder: Path, *options, port, environment=None):
        self._name = f"tapster-test-{uuid.uuid4().hex[:12]}"
        self._log = folder / f"{self._name}.log"
        self._address = ("127.0.0.1", port)
        self._process = None
        variables = [f"--env={name}={value}" for name, value in {"PORT": port, **(environment or {})}.items()]
        podman = ["podman", *_store(), "--runtime=runc", "run", f"--name={self._name}", *_RUN]
        self._command = [*BOUND_TO_THE_TESTS, *podman, *variables, *options, IMAGE]

    def __enter__(self):
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_until(self._is_up, START_DEADLINE_S, lambda: f"an answer; the log:\n{self.log()}", 0.05)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    def ask(self, path="/"):
        """The body of an answer."""
        reply = request(self._address, "GET", path)
        assert reply.status == 200, (reply.status, reply.body)
        return reply.text

    def signal(self, name):
        """Sends a signal to pid 1 of the container."""
        _podman("kill", f"--signal={name}", self._name)

    def stop(self):
        """Stops it as its operator does."""
        _podman("stop", "--time=20", self._name)

    def exit_status(self, deadline=30):
        """Waits until the container has ended; its exit status."""
        return self._process.wait(deadline)

    def log(self):
        """What the container's processes have written."""
        return self._log.read_text(errors="replace")

    def wait_for_log(self, text, deadline=20):
        """Waits until the log has a text."""
        wait_until(lambda: text in self.log(), deadline, lambda: f"{text!r} in the log:\n{self.log()}", 0.05)

    def processes(self):
        """Each process in the container, zombies included: its pid there → its state as /proc/PID/stat shows it."""
        listing = "for stat in /proc/[0-9]*/stat; do cat $stat; done"
        said = _podman("exec", self._name, "sh", "-c", listing, check=False).stdout
        rows = [line for line in said.splitlines() if ") " in line and "(sh)" not in line and "(cat)" not in line]
        return {int(row.split()[0]): row.rpartition(")")[2].split()[0] for row in rows}

    def _is_up(self):
        assert self._process.poll() is None, f"ended with {self._process.returncode}; the log:\n{self.log()}"
        try:
            return bool(self.ask())
        except OSError:
            return False

    def _remove(self):
        _podman("rm", "--force", "--time=0", "--ignore", self._name, check=False)
        try:
            self._process.wait(START_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(START_DEADLINE_S)


def _import(tree: Path, name):
    with subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE) as archive:
        _podman("import", "--quiet", "-", name, stdin=archive.stdout, deadline=300)
    assert archive.returncode == 0


def _install(source: Path, place: Path):
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, place)


def _podman(*words, **options):
    return run("podman", *_store(), "--runtime=runc", *words, **options)


def _store():
    return [f"--root={CACHE / 'containers'}", f"--runroot={CACHE / 'containers-run'}"]
