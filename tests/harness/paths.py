"""Where things are, and which server is under test."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "apps"
VENVS = ROOT / "target" / "venvs"

#: The program under test; TAPSTER_BIN names another build of it.
TAPSTER = Path(os.environ.get("TAPSTER_BIN", ROOT / "target" / "release" / "tapster"))

#: "tapster", or "gunicorn" to prove the tests themselves.
UNDER_TEST = os.environ.get("SERVER_UNDER_TEST", "tapster")
