"""Makes what the benchmark needs: its venv with the pinned peers, the C programs, a large file, the release build.

Never fails as a whole because one piece does: what cannot be made is returned as a reason, for the table.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import servers

HERE = Path(__file__).resolve().parent
APPS = HERE / "apps"
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "bench-venv"
TAPSTER = TARGET / "release" / "tapster"
FLOOR = TARGET / "bench" / "floor"
TRANSFER = TARGET / "bench" / "transfer"
FILE = TARGET / "bench" / "file"
FILE_SIZE = 100 * 1024 * 1024

#: Pins of the peers, and of the frameworks: the tests' own, which also hold whatever either pulls in.
_PEERS = HERE / "requirements.txt"
_FRAMEWORKS = HERE.parent / "requirements.txt"

#: Building uWSGI from source takes 20 s on a small machine; a build slower than this is stuck.
INSTALL_DEADLINE_S = 300
BUILD_DEADLINE_S = 1200


@dataclass
class Prepared:
    #: The tapster to measure.
    tapster: Path
    #: Pinned package (by its name) → why it is not installed.
    missing: dict[str, str] = field(default_factory=dict)
    #: Reason why a program of ours is not there, by server name.
    unbuilt: dict[str, str] = field(default_factory=dict)
    #: Why `transfer` is not there; empty if it is.
    transferless: str = ""

    def lacking(self, server: servers.Server, packages: tuple[str, ...] = (), transfers: bool = False) -> str:
        """Why a server can't be measured with an app that needs these packages; empty if it can."""
        missing = [f"{name}: {self.missing[name]}" for name in (*server.packages, *packages) if name in self.missing]
        if transfers and self.transferless:
            missing.append(f"the load: {self.transferless}")
        return self.unbuilt.get(server.name, "; ".join(missing))


def prepare(python: str, frameworks: tuple[str, ...], tapster: Path | None, build: bool) -> Prepared:
    """Everything, in the order that fails fastest. A second call with nothing changed takes a moment."""
    prepared = Prepared((tapster or TAPSTER).resolve())
    FLOOR.parent.mkdir(parents=True, exist_ok=True)
    _make_file()
    if reason := _compile(FLOOR, "floor.c"):
        prepared.unbuilt[servers.FLOOR] = reason
    prepared.transferless = _compile(TRANSFER, "transfer.c") or ""
    if reason := _build_tapster(prepared.tapster, build and tapster is None):
        prepared.unbuilt[servers.TAPSTER] = reason
    _install(prepared, python, [*_pins(_PEERS), *(f"{name}=={pinned(name)}" for name in frameworks)])
    return prepared


def python_version() -> str:
    """The version of the interpreter in the venv, as `3.x.y`."""
    code = "import platform; print(platform.python_version())"
    return subprocess.run(
        [VENV / "bin/python", "-c", code], check=True, text=True, stdout=subprocess.PIPE
    ).stdout.strip()


def pinned(package: str) -> str:
    """The pinned version of a peer or a framework."""
    return dict(pin.split("==") for pin in (*_pins(_FRAMEWORKS), *_pins(_PEERS)))[package]


def _pins(requirements: Path) -> list[str]:
    lines = requirements.read_text().splitlines()
    return [line.split(";")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def _make_file() -> None:
    if FILE.exists() and FILE.stat().st_size == FILE_SIZE:
        return
    _say(f"writing a file of {FILE_SIZE // 2**20} MiB")
    part = bytes(range(256)) * 4096
    with FILE.open("wb") as file:
        for _ in range(FILE_SIZE // len(part)):
            file.write(part)


def _compile(program: Path, source: str) -> str | None:
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        return f"no C compiler: `{compiler}` is not on PATH"
    if program.exists() and program.stat().st_mtime > (HERE / source).stat().st_mtime:
        return None
    _say(f"building the program of {source}")
    return _attempt([compiler, "-O2", "-o", str(program), str(HERE / source)], BUILD_DEADLINE_S)


def _build_tapster(program: Path, build: bool) -> str | None:
    if build:
        _say("building tapster (cargo build --release)")
        if reason := _attempt(["cargo", "build", "--release", "--workspace"], BUILD_DEADLINE_S, cwd=ROOT):
            return reason
    if program.exists():
        return None
    return f"there is no {_short(program)}; `cargo build --release --workspace` makes it, or name one by --tapster"


def _install(prepared: Prepared, python: str, pins: list[str]) -> None:
    """Installs each pin alone, and remembers in the venv which pins it has."""
    stamp = VENV / "bench.json"
    base = subprocess.run(
        [python, "-c", "import sys; print(sys.version)"], check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    known = json.loads(stamp.read_text()) if stamp.exists() else {}
    if known.get("python") != base:
        _say(f"making a venv in {_short(VENV)}")
        subprocess.run([python, "-m", "venv", "--clear", str(VENV)], check=True)
        known = {"python": base, "installed": []}
    for pin in pins:
        if pin in known["installed"]:
            continue
        _say(f"installing {pin}")
        pip = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        reason = _attempt([*pip, "--constraint", str(_FRAMEWORKS), pin], INSTALL_DEADLINE_S)
        if reason:
            prepared.missing[pin.split("==")[0]] = reason
        else:
            name = pin.split("==")[0]
            known["installed"] = [old for old in known["installed"] if old.split("==")[0] != name] + [pin]
            stamp.write_text(json.dumps(known))


def _attempt(command: list[str], deadline_s: int, cwd: Path = HERE) -> str | None:
    """Runs a command; None, or the line of its output that says best why it failed."""
    try:
        done = subprocess.run(
            command, cwd=cwd, timeout=deadline_s, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except FileNotFoundError:
        return f"`{command[0]}` is not on PATH"
    except subprocess.TimeoutExpired:
        return f"`{command[0]}` took longer than {deadline_s} s"
    if done.returncode == 0:
        return None
    print(done.stdout, file=sys.stderr)
    return _reason(done.stdout) or f"`{command[0]}` exited with {done.returncode}"


def _reason(output: str) -> str | None:
    lines = [line.strip() for line in output.splitlines()]
    telling = [line for line in lines if "error" in line.lower() and "subprocess-exited" not in line]
    return telling[0][:160] if telling else None


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
