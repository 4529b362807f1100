"""Makes the venv of the peers under target/: each installed alone, so that one that can't be leaves the others."""

import json
import os
import subprocess
import sys
from pathlib import Path

from harness import ROOT

from .peers import HERE

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "pep3333-venv"
#: A build that takes longer is stuck.
INSTALL_DEADLINE_S = 300


def pins():
    """Package → version, of all that are pinned."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def prepare(say):
    """The venv with everything that can be installed: package → why it is missing. Cheap where nothing has changed."""
    stamp = VENV / "pep3333.json"
    known = json.loads(stamp.read_text()) if stamp.exists() else {}
    if known.get("python") != sys.version:
        say(f"making a venv in {VENV}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        known = {"python": sys.version, "installed": {}}
    missing = {}
    for name, version in pins().items():
        if known["installed"].get(name) == version:
            continue
        say(f"installing {name} {version}")
        reason = _install(f"{name}=={version}")
        if reason:
            missing[name] = reason
        else:
            known["installed"][name] = version
            stamp.write_text(json.dumps(known))
    return missing


def _install(pin):
    """None, or the line of pip's output that says best why it failed."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin]
    try:
        done = subprocess.run(
            command, timeout=INSTALL_DEADLINE_S, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except subprocess.TimeoutExpired:
        return f"installing it took longer than {INSTALL_DEADLINE_S} s"
    if done.returncode == 0:
        return None
    print(done.stdout, file=sys.stderr)
    lines = [line.strip() for line in done.stdout.splitlines()]
    telling = [line for line in lines if "error" in line.lower() and "subprocess-exited" not in line]
    return (telling or [f"pip exited with {done.returncode}"])[0][:160]
