"""The standard library's checker around an application that does what most do; it raises where a server is wrong."""

from wsgiref.validate import validator


def _application(environ, start_response):
    stream = environ["wsgi.input"]
    lines = [stream.readline(), stream.read(5), *stream.readlines(), *stream]
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Validated", "yes")])
    if environ["PATH_INFO"] == "/write":
        write(b"written,")
    environ["wsgi.errors"].write("validated\n")
    environ["wsgi.errors"].flush()
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return [b"valid:", b"".join(lines)]


application = validator(_application)
