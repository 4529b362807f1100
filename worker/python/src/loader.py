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
        names = _being_imported(error.__traceback__)
        if isinstance(error, ModuleNotFoundError) and isinstance(error.name, str):
            names.add(error.name)
        for name in names:
            found += _expected(name)
    return {file for file in found if isinstance(file, str) and file and not file.startswith("<")}


def _being_imported(frames):
    """The modules whose import an exception has come out of, which it may not name: one that can't be decoded, for example, or
    that is not in the package that it is wanted from."""
    names, last = set(), None
    for last in _each(frames):
        if last.tb_frame.f_code.co_filename.startswith("<frozen importlib"):
            name = last.tb_frame.f_locals.get("name")
            names |= {name} if isinstance(name, str) else set()
    if last is not None:
        try:
            names |= _imported_at(last.tb_frame, last.tb_lasti)
        except Exception:
            # Of code that is none of the compiler's: then the other files have to do.
            pass
    return names


def _each(frames):
    while frames is not None:
        yield frames
        frames = frames.tb_next


def _imported_at(frame, place):
    """What the import statement there is about, if it is one: Python itself takes the frames of the machinery away."""
    import dis

    before = []
    for step in dis.get_instructions(frame.f_code):
        if step.opname == "IMPORT_NAME":
            level, wanted, module = before[-2].argval, before[-1].argval, step.argval
        if step.offset >= place:
            break
        before += [] if step.opname == "EXTENDED_ARG" else [step]
    if step.offset != place or step.opname not in ("IMPORT_NAME", "IMPORT_FROM"):
        return set()
    package = frame.f_globals.get("__package__") or ""
    parts = package.split(".")[: package.count(".") + 2 - level] if level else []
    parts += filter(None, module.split("."))
    names = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return names | {".".join([*parts, name]) for name in wanted or () if name != "*"}


def _expected(name):
    """What would be the module of that name: its file, or its folder, which needs none of its own."""
    package, _, last = name.rpartition(".")
    places = [os.path.join(folder, *name.split(".")) for folder in filter(None, sys.path)]
    try:
        places += [os.path.join(folder, last) for folder in sys.modules[package].__path__]
    except (KeyError, AttributeError, TypeError):
        # It has not been imported, or is no package.
        pass
    return [file for place in dict.fromkeys(places) for file in (f"{place}.py", os.path.join(place, "__init__.py"), place)]
