"""An application behind dots on both sides of the colon."""

from shapes import factory, function


class Site:
    """Holds applications."""

    class nested:
        """Holds more of them."""

        app = staticmethod(function)


site = Site()
make = factory


def configured(name, suffix="!"):
    """A factory that takes arguments."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{name}{suffix}".encode()]

    return application
