"""moto's server, one write after another.

S3 lets one of all who create the same object at once succeed. moto looks whether it is there, and writes later: beside
other work, two of 32 were told that they made it in one of twenty tries.
"""

import io
import threading

from moto import server

WRITES = threading.Lock()


class Application(server.DomainDispatcherApplication):
    def __call__(self, environ, start_response):
        # Whoever is slow to send keeps nobody waiting.
        length = environ.get("CONTENT_LENGTH")
        if length:
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return super().__call__(environ, start_response)
        with WRITES:
            return super().__call__(environ, start_response)


server.DomainDispatcherApplication = Application
server.main()
