"""`status`: a page that shows which apps of the platform are up, and their releases."""

import os
import signal
import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import bottle

from services import Services, parse

VARIABLES = os.environ


def identity():
    """App, release and host name, for `X-Platform-App`."""
    release = VARIABLES.get("PLATFORM_RELEASE") or VARIABLES.get("PLATFORM_VERSION") or "unreleased"
    app = VARIABLES.get("PLATFORM_APP", "status")
    return "%s %s %s" % (app, release, VARIABLES.get("HOSTNAME", "localhost"))


def application(services):
    app = bottle.Bottle()
    bottle.TEMPLATE_PATH[:] = [os.path.dirname(os.path.abspath(__file__))]
    name = identity()

    @app.hook("after_request")
    def add_identity():
        bottle.response.set_header("X-Platform-App", name)

    @app.get("/status")
    def health():
        # Only this app's health: the app is healthy while other apps are down.
        bottle.response.content_type = "text/plain; charset=utf-8"
        return "ok\n"

    @app.get("/")
    def overview():
        states = services.states()
        bottle.response.set_header("Cache-Control", "no-store")
        bottle.response.set_header("Vary", "Accept")
        if prefers_html(bottle.request.get_header("Accept", "")):
            return bottle.template("page.html", states=states)
        return {"apps": states}

    return app


def prefers_html(accept):
    """Browsers list text/html first. curl and scripts don't list it."""
    kinds = [kind.split(";")[0].strip() for kind in accept.split(",")]
    if "text/html" not in kinds:
        return False
    return "application/json" not in kinds or kinds.index("text/html") < kinds.index("application/json")


class Server(socketserver.ThreadingMixIn, WSGIServer):
    # server_close() waits for the threads of the open requests.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        # A client that times out or disconnects is not an error of this app.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(WSGIRequestHandler):
    # Limits how long an idle connection delays a stop.
    timeout = 3

    def address_string(self):
        return self.client_address[0]

    def log_request(self, code="-", size="-"):
        # Keeps the frequent health checks out of the log.
        if self.path != "/status":
            super().log_request(code, size)


def main():
    try:
        port = int(VARIABLES.get("PORT", "8080"))
        timeout_s = float(VARIABLES.get("CHECK_TIMEOUT_S", "1"))
        checked = parse(VARIABLES.get("SERVICES", ""), VARIABLES.get("CHECK_PATH", "/status"))
    except ValueError as error:
        sys.exit("status: invalid config: %s" % error)
    server = Server(("0.0.0.0", port), Handler)
    server.set_app(application(Services(checked, timeout_s)))

    def stop(_signal, _frame):
        # In a thread, because shutdown() waits for the loop that this thread runs.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with server:
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
