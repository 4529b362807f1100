"""Real proxies in front of a backend: nginx, HAProxy and Apache, each with its own configuration, ports and folders.

A front names every request that it knows of: it sets `ID_FIELD` to a unique id that begins with a secret, and writes
the same id with the request's method and target to its access log.
"""

from .apache import Apache
from .front import ID_FIELD, Logged
from .haproxy import HAProxy
from .nginx import Nginx
from .programs import needs

__all__ = ["ID_FIELD", "Apache", "HAProxy", "Logged", "Nginx", "needs"]
