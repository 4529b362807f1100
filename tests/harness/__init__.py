"""What the black-box suite stands on: servers as processes, a strict HTTP client, /proc, and waiting for facts."""

from .client import Browser, Reply, request
from .interpreters import INTERPRETERS, Interpreter, default_interpreter
from .load import Load
from .paths import APPS, ROOT, TAPSTER, UNDER_TEST
from .server import Server, run_tapster
from .waiting import wait_until
from .wire import Truncated, Wire

__all__ = [
    "APPS",
    "INTERPRETERS",
    "ROOT",
    "TAPSTER",
    "UNDER_TEST",
    "Browser",
    "Interpreter",
    "Load",
    "Reply",
    "Server",
    "Truncated",
    "Wire",
    "default_interpreter",
    "request",
    "run_tapster",
    "wait_until",
]
