"""The product, as its callers see it; nothing here waits longer than a moment for an answer."""

import json
import sys
import time
import urllib.error
import urllib.request

# The longest an answer may take, in seconds: a reply waits up to 10 for the channel.
ANSWER_SEC = 15
# The longest it may take until a change is shown.
SHOWN_SEC = 20


class Api:
    """The product, as somebody."""

    def __init__(self, base, token=None):
        self.base, self.token = base, token

    def send(self, method, path, body=None):
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=ANSWER_SEC) as answer:
            return answer, json.loads(answer.read() or b"null")

    def get(self, path):
        return self.send("GET", path)[1]

    def post(self, path, body=None):
        return self.send("POST", path, body)[1]

    def is_signed_in(self):
        """Whether this is still somebody. Whoever cannot be asked is not."""
        try:
            return bool(self.get("/api/auth/me"))
        except OSError:
            return False


def sign_in(base, path, body):
    """Somebody new, by a name and a password or by an API client's credentials."""
    answer, body = Api(base).send("POST", path, body)
    if "accessToken" in body:
        return Api(base, body["accessToken"])
    return Api(base, answer.headers["set-cookie"].split(";")[0].split("=", 1)[1])


def wait_for(what, look):
    """Looks until there is something to see."""
    end = time.monotonic() + SHOWN_SEC
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"schemathesis: waited in vain for {what}")
