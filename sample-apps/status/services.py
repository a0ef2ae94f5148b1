"""Asks the apps how they are: all at once, and nobody waits longer than the time-out."""

import http.client
import re
import threading
import time

# Whoever bears this name on the platform's network is a replica of the app.
HOST = "%s.apps.platform"
PORT = 8080
# So long an answer is good for whoever else asks: a crowd that looks at the page is no crowd for the apps.
FRESH_S = 1.0

_SERVICE = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(/[!-~]*)?")


def parse(words, default_path):
    """Makes a list of pairs, app and path, of words such as `bakery` and `hello-world/greeting`."""
    services = []
    for word in words.split():
        match = _SERVICE.fullmatch(word)
        if not match:
            raise ValueError("SERVICES holds %r, and is to hold names of apps, each with or without a /path" % word)
        services.append((match[1], match[2] or default_path))
    return services


class Services:
    def __init__(self, services, timeout_s):
        self._services = services
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._states = []
        self._asked = None

    def states(self):
        """One dict an app, in the order of the config."""
        with self._lock:
            if self._asked is None or time.monotonic() - self._asked > FRESH_S:
                self._states = self._ask_all()
                self._asked = time.monotonic()
            return self._states

    def _ask_all(self):
        answers = [None] * len(self._services)

        def ask(index, app, path):
            answers[index] = _ask(app, path, self._timeout_s)

        # Daemons: looking up a name has no time-out of its own, and may not hold up the end of the process.
        threads = [
            threading.Thread(target=ask, args=(index, *service), daemon=True)
            for index, service in enumerate(self._services)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self._timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        silent = {"up": False, "detail": "no answer within %g s" % self._timeout_s}
        # Taken now: a thread that comes too late changes nothing that is shown.
        return [
            {"app": app, "path": path, **(answer or silent)}
            for (app, path), answer in zip(self._services, list(answers))
        ]


def _ask(app, path, timeout_s):
    begin = time.monotonic()
    connection = http.client.HTTPConnection(HOST % app, PORT, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"User-Agent": "status", "Connection": "close"})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return {"up": False, "detail": _reason(error)}
    finally:
        connection.close()
    # "APP RELEASE HOSTNAME", from apps that say who they are.
    who = answer.getheader("X-Platform-App", "").split()
    return {
        "up": 200 <= answer.status < 400,
        "detail": "answers %d" % answer.status,
        "took_ms": round((time.monotonic() - begin) * 1000, 1),
        "release": who[1] if len(who) == 3 else None,
        "replica": who[2] if len(who) == 3 else None,
    }


def _reason(error):
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens"
    if isinstance(error, http.client.HTTPException):
        return "what answers does not speak HTTP"
    # A name that nobody bears, among others: the system has words for it.
    return getattr(error, "strerror", None) or type(error).__name__
