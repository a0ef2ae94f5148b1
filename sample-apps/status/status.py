"""`status`: a page that tells which of the platform's apps are up, and in which release."""

import os
import signal
import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import bottle

from services import Services, parse

VARIABLES = os.environ


def who():
    """App, release and host name, for `X-Platform-App`."""
    release = VARIABLES.get("PLATFORM_RELEASE") or VARIABLES.get("PLATFORM_VERSION") or "unreleased"
    app = VARIABLES.get("PLATFORM_APP", "status")
    return "%s %s %s" % (app, release, VARIABLES.get("HOSTNAME", "localhost"))


def application(services):
    app = bottle.Bottle()
    bottle.TEMPLATE_PATH[:] = [os.path.dirname(os.path.abspath(__file__))]
    name = who()

    @app.hook("after_request")
    def say_who():
        bottle.response.set_header("X-Platform-App", name)

    @app.get("/status")
    def health():
        # Of this app alone: it is well while it can tell that others are not.
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
    """Browsers name text/html first; curl and scripts do not name it at all."""
    kinds = [kind.split(";")[0].strip() for kind in accept.split(",")]
    if "text/html" not in kinds:
        return False
    return "application/json" not in kinds or kinds.index("text/html") < kinds.index("application/json")


class Server(socketserver.ThreadingMixIn, WSGIServer):
    # Closing the server waits for the threads of the requests that are under way.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        # Clients that stay silent or hang up are no errors of this app.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(WSGIRequestHandler):
    # Whoever connects and says nothing holds up no stop.
    timeout = 3

    def address_string(self):
        return self.client_address[0]

    def log_request(self, code="-", size="-"):
        # The health check asks every few seconds: that is no news.
        if self.path != "/status":
            super().log_request(code, size)


def main():
    try:
        port = int(VARIABLES.get("PORT", "8080"))
        timeout_s = float(VARIABLES.get("CHECK_TIMEOUT_S", "1"))
        asked = parse(VARIABLES.get("SERVICES", ""), VARIABLES.get("CHECK_PATH", "/status"))
    except ValueError as error:
        sys.exit("status: the config is not usable: %s" % error)
    server = Server(("0.0.0.0", port), Handler)
    server.set_app(application(Services(asked, timeout_s)))

    def stop(_signal, _frame):
        # It waits for the loop that this very thread is in.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with server:
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
