"""Finds the WSGI application that the setting `wsgi_app` names.

Forms: ``package.module:callable``, ``module:site.app``, ``module:factory()`` (literal arguments allowed), ``module``
(its ``application``, else its ``app``), and a path in place of the module (``dir/file.py:app``).
"""

import ast
import importlib
import os
import sys
import traceback

IMPORT, MISSING = 3, 4


class Refused(Exception):
    """Why there is no application: the exit status, what to tell the operator, and the files that it is about."""

    def __init__(self, status, report, files=()):
        super().__init__(status, report, [os.path.abspath(file) for file in files])


def load(spec):
    module_name, _, expression = spec.partition(":")
    module = _import(spec, module_name)
    if not expression:
        for expression in ("application", "app"):
            if callable(getattr(module, expression, None)):
                break
        else:
            raise Refused(MISSING, f"{_where(module)} has neither a callable 'application' nor 'app'; name the one to serve, as in {module_name}:NAME.{_offer(module)}")
    return _resolve(spec, module, expression)


def _import(spec, name):
    target = _by_path(name) if name.endswith(".py") or os.sep in name else name
    if not target or not all(part.isidentifier() for part in target.split(".")):
        raise Refused(IMPORT, f"'{spec}' names no application; write MODULE:CALLABLE or path/to/file.py:CALLABLE")
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name is not None and (target == error.name or target.startswith(error.name + ".")):
            hint = f"{error}. Searched in: {', '.join(sys.path)}"
            raise Refused(IMPORT, f"can't import the application '{spec}': {hint}", _expected(error.name)) from None
        raise _failed(f"can't import the application '{spec}'", error) from None
    except BaseException as error:
        raise _failed(f"can't import the application '{spec}'", error) from None


def _by_path(path):
    """Makes the file importable as its package sees it, and returns its dotted name."""
    full = os.path.realpath(path)
    if not os.path.isfile(full):
        raise Refused(IMPORT, f"can't import the application: there is no file {full}", [full])
    folder, file = os.path.split(full)
    parts = [file.removesuffix(".py")]
    if parts == ["__init__"]:
        parts = []
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, package = os.path.split(folder)
        parts.insert(0, package)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return ".".join(parts)


def _resolve(spec, module, expression):
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise Refused(MISSING, f"'{expression}' in '{spec}' is neither a name nor a call") from None
    arguments = None
    if isinstance(node, ast.Call):
        try:
            arguments = [ast.literal_eval(value) for value in node.args]
            keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
        except ValueError:
            raise Refused(MISSING, f"the arguments in '{spec}' must be literals") from None
        node = node.func
    found = _walk(spec, module, node)
    if arguments is None:
        return _checked(found, f"'{expression}' in {_where(module)}")
    _checked(found, f"'{ast.unparse(node)}' in {_where(module)}")
    try:
        made = found(*arguments, **keywords)
    except BaseException as error:
        raise _failed(f"the application factory '{expression}' in {_where(module)} failed", error) from None
    return _checked(made, f"what '{expression}' in {_where(module)} returned")


def _walk(spec, module, node):
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise Refused(MISSING, f"'{spec}' must name the callable as NAME, NAME.NAME or NAME()")
    found, path = module, _where(module)
    for name in [node.id, *names]:
        try:
            found = getattr(found, name)
        except AttributeError:
            offer = _offer(module) if found is module else ""
            raise Refused(MISSING, f"{path} has no attribute '{name}' (wanted by '{spec}').{offer}") from None
        path = f"'{name}' in {path}"
    return found


def _checked(found, what):
    if not callable(found):
        raise Refused(MISSING, f"{what} is not callable: it is {_described(found)}")
    return found


def _described(found):
    kind = type(found).__name__
    text = repr(found)
    return f"{'an' if kind[:1] in 'aeiouAEIOU' else 'a'} {kind}: {text if len(text) <= 80 else text[:77] + '...'}"


def _where(module):
    file = getattr(module, "__file__", None)
    return f"module '{module.__name__}'" + (f" ({file})" if file else "")


def _offer(module):
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    names = [name for name in names if getattr(vars(module)[name], "__module__", module.__name__) == module.__name__]
    return f" Its callables are: {', '.join(names[:10])}." if names else ""


def _failed(what, error):
    """The report of an exception, without the frames of this file and of the import machinery before it."""
    frames = error.__traceback__
    while frames is not None and _is_ours(frames):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames)).rstrip()
    if frames is None:
        # A SyntaxError: it has no frames of its own, and says itself where it is.
        text = f"Traceback (most recent call last):\n{text}"
    return Refused(IMPORT, f"{what}:\n{text}", _files(error))


def _is_ours(frames):
    file = frames.tb_frame.f_code.co_filename
    return file == __file__ or file.startswith("<frozen importlib") or file == importlib.__file__


def _files(error):
    """The files that an exception has come through, or is about: where it may be mended."""
    found, seen, waiting = [], set(), [error]
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        waiting += [error.__cause__, error.__context__]
        found += [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
        if isinstance(error, (SyntaxError, OSError)):
            found.append(error.filename)
        if isinstance(error, ImportError):
            found.append(error.path)
        if isinstance(error, ModuleNotFoundError) and error.name:
            found += _expected(error.name)
    return {file for file in found if isinstance(file, str) and file and not file.startswith("<")}


def _expected(name):
    """The files that would be the module of that name."""
    found = []
    for folder in filter(None, sys.path):
        module = os.path.join(folder, *name.split("."))
        found += [f"{module}.py", os.path.join(module, "__init__.py")]
    return found
