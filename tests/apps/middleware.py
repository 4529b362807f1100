"""Fifty layers of middleware around one application, of the kinds that are found in the wild."""

LAYERS = 50


def innermost(environ, start_response):
    """Says how many layers it was called through."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/write":
        write(b"written,")
    return [b"layers:", str(environ["layers"]).encode()]


class Wrapping:
    """Wraps start_response, and counts."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        environ["layers"] = environ.get("layers", 0) + 1

        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Layer", str(environ["layers"]))], exc_info)

        return self.application(environ, start)


class Iterating(Wrapping):
    """Wraps the iterable in a generator too, passing close() on."""

    def __call__(self, environ, start_response):
        body = super().__call__(environ, start_response)
        try:
            yield from body
        finally:
            if hasattr(body, "close"):
                body.close()


def stack(application):
    """The whole stack."""
    for number in range(LAYERS):
        application = (Wrapping if number % 2 else Iterating)(application)
    return application


application = stack(innermost)
