"""Checks all apps at the same time, within a time-out."""

import http.client
import re
import threading
import time

# The network alias of all replicas of an app.
HOST = "%s.apps.platform"
PORT = 8080
# Results are cached, so that many visitors don't cause many checks.
CACHE_S = 1.0

_SERVICE = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(/[!-~]*)?")


def parse(words, default_path):
    """Parses words such as `bakery` and `hello-world/greeting` into pairs of app and path."""
    services = []
    for word in words.split():
        match = _SERVICE.fullmatch(word)
        if not match:
            raise ValueError("SERVICES contains %r: expected APP or APP/PATH" % word)
        services.append((match[1], match[2] or default_path))
    return services


class Services:
    def __init__(self, services, timeout_s):
        self._services = services
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._states = []
        self._checked_at = None

    def states(self):
        """Returns one dict per app, in the order of the config."""
        with self._lock:
            if self._checked_at is None or time.monotonic() - self._checked_at > CACHE_S:
                self._states = self._check_all()
                self._checked_at = time.monotonic()
            return self._states

    def _check_all(self):
        answers = [None] * len(self._services)

        def check(index, app, path):
            answers[index] = _check(app, path, self._timeout_s)

        # Daemon threads, because a DNS lookup has no time-out and must not delay the exit of the process.
        threads = [
            threading.Thread(target=check, args=(index, *service), daemon=True)
            for index, service in enumerate(self._services)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self._timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        unanswered = {"up": False, "detail": "no answer within %g s" % self._timeout_s}
        # A copy, so that a late thread can't change the result.
        return [
            {"app": app, "path": path, **(answer or unanswered)}
            for (app, path), answer in zip(self._services, list(answers))
        ]


def _check(app, path, timeout_s):
    begin = time.monotonic()
    connection = http.client.HTTPConnection(HOST % app, PORT, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"User-Agent": "status", "Connection": "close"})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return {"up": False, "detail": _reason(error)}
    finally:
        connection.close()
    # "APP RELEASE HOSTNAME", if the app sends it.
    identity = answer.getheader("X-Platform-App", "").split()
    return {
        "up": 200 <= answer.status < 400,
        "detail": "status %d" % answer.status,
        "took_ms": round((time.monotonic() - begin) * 1000, 1),
        "release": identity[1] if len(identity) == 3 else None,
        "replica": identity[2] if len(identity) == 3 else None,
    }


def _reason(error):
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.HTTPException):
        return "not an HTTP answer"
    # Includes an unknown host.
    return getattr(error, "strerror", None) or type(error).__name__
