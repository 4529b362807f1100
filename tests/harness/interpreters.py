"""The CPythons that the suite runs on: those for which tests/run made a venv, and those that it did not find."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .paths import UNDER_TEST, VENVS

WANTED = ("3.10", "3.11", "3.12", "3.13", "3.11-static")


@dataclass(frozen=True)
class Interpreter:
    """A venv of one CPython."""

    name: str

    @property
    def venv(self) -> Path:
        """The venv's folder."""
        return VENVS / self.name

    @property
    def python(self) -> Path:
        """The venv's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def version(self) -> str:
        """Major and minor, as in 3.11."""
        return self.name.removesuffix("-static")

    @property
    def static(self) -> bool:
        """Whether this is a CPython that is not linked to a libpython."""
        return self.name.endswith("-static")

    def require(self):
        """Skips the running test, by name, where this CPython was not found."""
        if not self.python.exists():
            kind = "static CPython" if self.static else "CPython"
            pytest.skip(f"{kind} {self.version} not found")
        if UNDER_TEST != "tapster" and self != default_interpreter():
            pytest.skip(f"{UNDER_TEST} is installed for CPython {default_interpreter().name} only, not {self.name}")

    def evaluate(self, expression):
        """What the plain interpreter prints for an expression: the truth to compare a server with."""
        command = [str(self.python), "-c", f"import sys; print({expression})"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def default_interpreter() -> Interpreter:
    """The CPython that runs the harness, and the servers of suites that need only one."""
    return Interpreter((VENVS / "default").read_text().strip())


def _names():
    default = (VENVS / "default").read_text().strip() if (VENVS / "default").exists() else "3.11"
    return WANTED if default in WANTED else (*WANTED, default)


#: Every wanted CPython, found or not.
INTERPRETERS = tuple(Interpreter(name) for name in _names())


def on_every_interpreter(group):
    """Parameters for a fixture or test: each CPython, in an xdist group of its own so that servers can be shared."""
    return [
        pytest.param(each, id=each.name, marks=pytest.mark.xdist_group(f"{group}-{each.name}")) for each in INTERPRETERS
    ]
