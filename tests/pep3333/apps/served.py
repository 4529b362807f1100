"""The application that the rules are asked of: one route a rule, by the path's first part. Plain WSGI, of the standard
library only, since it runs under every server that is compared."""

from routes import ROUTES, calls


class Application:
    """An instance, which has no __name__ and no code object: one of the kinds of callable that there are."""

    def __call__(self, *positional, **keywords):
        calls.ARGUMENTS[:] = [len(positional), sorted(keywords)]
        environ, start_response = (*positional, *keywords.values())
        name = environ.get("PATH_INFO", "").split("/")[1]
        return ROUTES[name](environ, start_response)


application = Application()
