"""Modules of the standard library that most frameworks import, imported before workers are forked, which so share them.

Only where importing them later would bring the same: not where something in front of the standard library on the path has
the name of one of its modules. None of them knows what it is imported for, and none starts or opens anything. gevent can
patch those of them that it replaces, but not ssl once that is imported: it is left out, and so is what imports it (asyncio,
http.client).
"""

import os
import sys

COMMON = """
ast base64 calendar concurrent.futures.thread contextlib csv dataclasses datetime decimal difflib dis email.charset
email.encoders email.generator email.header email.headerregistry email.message email.mime.multipart email.mime.text
email.parser email.policy email.utils fractions gettext glob hashlib hmac html html.parser http http.cookies
importlib.metadata importlib.resources inspect ipaddress json locale logging logging.config mimetypes numbers opcode pathlib
pickle pkgutil platform pprint random secrets shlex shutil statistics string subprocess tempfile textwrap token tokenize
traceback typing unicodedata urllib.parse uuid zipfile zoneinfo
""".split()


def share():
    """Imports them, and answers whether it did."""
    library = os.path.dirname(os.__file__)
    if library not in sys.path or any(map(hides_a_module, sys.path[: sys.path.index(library)])):
        return False
    for name in COMMON:
        try:
            __import__(name)
        except ImportError:
            # This Python was built without it, or has it no more.
            continue
    return True


def hides_a_module(folder):
    """Whether a module of the standard library would be found in this folder."""
    try:
        found = os.listdir(folder or ".")
    except OSError:
        return False
    return any(is_module(folder, entry) for entry in found if entry.partition(".")[0] in sys.stdlib_module_names)


def is_module(folder, entry):
    """Whether that is a module or a package, not another file or folder of such a name."""
    return entry.endswith((".py", ".pyc", ".so")) or os.path.isfile(os.path.join(folder, entry, "__init__.py"))
