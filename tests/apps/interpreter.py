"""Tells which interpreter runs it, and how it was set up."""

import ctypes
import decimal
import json
import locale
import os
import sqlite3
import ssl
import sys
import sysconfig

from markupsafe import _speedups
from zope.interface import _zope_interface_coptimizations


def application(environ, start_response):
    """Everything as JSON."""
    connection = sqlite3.connect(":memory:")
    found = {
        "version": sys.version,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "executable": sys.executable,
        "exec_prefix": sys.exec_prefix,
        "path": sys.path,
        "filesystem_encoding": sys.getfilesystemencoding(),
        "filesystem_errors": sys.getfilesystemencodeerrors(),
        "stdout_encoding": sys.stdout.encoding,
        "preferred_encoding": locale.getpreferredencoding(False),
        "flags": {name: getattr(sys.flags, name) for name in ("isolated", "no_site", "optimize", "utf8_mode")},
        "hash": hash("a"),
        "soabi": sysconfig.get_config_var("SOABI"),
        "openssl": ssl.OPENSSL_VERSION,
        "sqlite": connection.execute("select 6 * 7").fetchone()[0],
        "ctypes": ctypes.CDLL(None).getpid() == os.getpid(),
        "decimal": str(decimal.Decimal(1) / 3),
        "extensions": [_speedups.__file__, _zope_interface_coptimizations.__file__],
        "main": "__main__" in sys.modules,
        "process_executable": os.readlink("/proc/self/exe"),
        "opened": open(os.path.join(os.path.dirname(__file__), "caf\xe9.txt"), encoding="utf-8").read().strip(),
    }
    data = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]
