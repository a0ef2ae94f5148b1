"""moto's server, one write after another.

Of several concurrent conditional creates of an object, S3 lets exactly one succeed. moto checks first and writes later:
on a busy machine, two of 32 creates succeeded in one of twenty tries.
"""

import io
import threading

from moto import server

WRITES = threading.Lock()


class Application(server.DomainDispatcherApplication):
    def __call__(self, environ, start_response):
        # Reads the body before it takes the lock, so that a slow sender delays no other request.
        length = environ.get("CONTENT_LENGTH")
        if length:
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return super().__call__(environ, start_response)
        with WRITES:
            return super().__call__(environ, start_response)


server.DomainDispatcherApplication = Application
server.main()
