#!/usr/bin/env python3
"""Publishes the records on standard input, one JSON object a line: publish.py < records.ndjson

IEM_URL, IEM_USER and IEM_PASSWORD in the environment; Python 3.9 or newer, nothing to install.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


class Refused(Exception):
    """The gateway will never take the request."""


class Publisher:
    """Sends records and returns once the gateway has confirmed them."""

    def __init__(self, url, user, password, attempts=8):
        self.url, self.attempts = url, attempts
        self.basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.token, self.expires = None, 0.0

    def publish(self, records, kind="allevents"):
        """Sends records of one kind. Repeats it on 429, 5xx and without an answer."""
        body = "".join(json.dumps(record) + "\n" for record in records).encode()
        headers = {
            "Content-Type": "application/x-ndjson",
            # The same for every attempt.
            "Idempotency-Key": str(uuid.uuid4()),
        }
        for attempt in range(1, self.attempts + 1):
            headers["Authorization"] = f"Bearer {self._token()}"
            status, answer, wait = self._post(f"/publish/{kind}/", body, headers)
            if status == 200:
                return
            if status == 401 and b"token" in answer and attempt == 1:
                self.token = None  # It has expired on the way, or its session has ended.
                continue
            if 0 < status < 500 and status != 429:
                raise Refused(f"{status} {answer.decode(errors='replace')}")
            if attempt < self.attempts:
                time.sleep(max(wait, min(2 ** (attempt - 1), 60)))
        raise TimeoutError(f"given up after {self.attempts} attempts: {status} {answer!r}")

    def _token(self):
        """Returns the token, a new one a minute before it expires."""
        if self.token is None or time.monotonic() > self.expires - 60:
            headers = {"Authorization": f"Basic {self.basic}"}
            for attempt in range(1, self.attempts + 1):
                form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
                status, answer, wait = self._post("/oauth2/token", form, headers)
                if status == 200:
                    break
                if (0 < status < 500 and status != 429) or attempt == self.attempts:
                    raise Refused(f"{status} {answer.decode(errors='replace')}")
                time.sleep(max(wait, min(2 ** (attempt - 1), 60)))
            granted = json.loads(answer)
            self.token = granted["access_token"]
            self.expires = time.monotonic() + granted["expires_in"]
        return self.token

    def _post(self, path, body, headers):
        """Returns status, body and the seconds to wait. The status 0 stands for no answer."""
        request = urllib.request.Request(self.url + path, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read(), 0
        except urllib.error.HTTPError as error:
            return error.code, error.read(), int(error.headers.get("Retry-After", 0))
        except OSError as error:
            return 0, str(error).encode(), 0


if __name__ == "__main__":
    publisher = Publisher(*(os.environ[name] for name in ("IEM_URL", "IEM_USER", "IEM_PASSWORD")))
    try:
        publisher.publish([json.loads(line) for line in sys.stdin if line.strip()])
    except (Refused, TimeoutError) as error:
        sys.exit(f"not published: {error}")
