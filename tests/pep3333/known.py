"""What gunicorn does not keep as the harness starts it (gthread), so that the suite can be proved against it."""

GUNICORN = {
    "an application may empty the environ and fill it with what it likes": "it needs its own wsgi.file_wrapper there",
    "a name and a value of the deployer's are in the environ": "it has no setting for that",
    "what is neither CGI's nor the process's is in lower case, with a prefix": "RAW_URI",
    "wsgi.multithread is false where a worker has one thread": "it tells of the kind of worker, not of its threads",
    "nothing is sent while the application has only yielded empty blocks": "any block sends the head",
    "with exc_info the second call replaces status and all headers": "the first call's headers stay",
    "with exc_info the second call replaces them, too, when empty blocks were yielded before": "it is gone by then",
    "each header that RFC 2616 calls hop-by-hop raises": "they are left out",
    "blocks are no longer asked for when the declared length is reached": "it asks for all",
    "write() raises where it would exceed the declared length": "it sends what fits",
    "a body that is shorter than declared is logged": "it closes the connection, and says nothing",
    "SystemExit is trapped and logged like any other": "it ends the worker",
}
