"""What an application may ask of Tapster, the server that runs it.

    import tapster

    @tapster.post_fork
    def open_pool():
        ...

Under another server, or none, the functions are never called; importing this changes nothing.
"""

from __future__ import annotations

import types
from typing import Any, Callable, TypeVar, overload

__all__ = ["RequestTimeout", "__version__", "post_fork", "worker_exit"]

__version__ = "0.1.0"

_Function = TypeVar("_Function", bound=Callable[[], Any])

# Kept where this module is executed again in its own namespace.
_post_fork: list[Callable[[], Any]] = globals().get("_post_fork", [])
_worker_exit: list[Callable[[], Any]] = globals().get("_worker_exit", [])


class RequestTimeout(BaseException):
    """Raised in a request that has taken longer than the setting `timeout`, wherever its thread is in Python code.

    It is no `Exception`, so that `except Exception` does not stop it: by then the client has been answered, or cut off.
    Catch it to tidy up, and raise it again.
    """


@overload
def post_fork(function: _Function) -> _Function: ...
@overload
def post_fork() -> Callable[[_Function], _Function]: ...
def post_fork(function=None):
    """Has a function called, without arguments, in each worker: after the application is loaded, before it serves.

    What must not be shared by processes is made there, such as connections and threads. Functions are called in the order
    in which they were registered. A worker in which one raises an exception does not serve. A function that is registered
    when the worker is serving already is not called.
    """
    return _registered(_post_fork, "post_fork", function)


@overload
def worker_exit(function: _Function) -> _Function: ...
@overload
def worker_exit() -> Callable[[_Function], _Function]: ...
def worker_exit(function=None):
    """Has a function called, without arguments, when a worker ends in an orderly way, behind its last request.

    Functions are called in the reverse order of their registration; an exception is logged and keeps none of the others
    from being called. It is not called in a worker that is killed.
    """
    return _registered(_worker_exit, "worker_exit", function)


def _registered(functions, name, function):
    if function is None:
        return lambda function: _registered(functions, name, _checked(name, function))
    _checked(name, function)
    for place, before in enumerate(functions):
        if _is_again(before, function):
            functions[place] = function
            break
    else:
        functions.append(function)
    return function


def _checked(name, function):
    if not callable(function):
        raise TypeError(f"@tapster.{name} is for a function without arguments, not {type(function).__name__}")
    return function


def _is_again(before, function):
    """Whether it is the same function, or the same one of a module that has been imported once more."""
    if before is function:
        return True
    if isinstance(before, types.MethodType) and isinstance(function, types.MethodType):
        return before.__self__ is function.__self__ and before.__func__ is function.__func__
    if not (isinstance(before, types.FunctionType) and isinstance(function, types.FunctionType)):
        return False
    plain = not any((each.__closure__ or each.__defaults__ or each.__kwdefaults__) for each in (before, function))
    # Functions that are made by functions, and lambdas, may differ by what they refer to.
    return (
        plain
        and "<" not in function.__qualname__
        and (before.__module__, before.__qualname__) == (function.__module__, function.__qualname__)
        and before.__code__ == function.__code__
    )
