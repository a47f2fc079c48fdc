"""Sends CloudEvents with the SDK of PyPI: each line of standard input is the attributes and the data of one.

Prints the status of each answer. The SDK has no batched mode for HTTP.
"""
import json
import os
import sys
import urllib.error
import urllib.request
from datetime import datetime

from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

MODES = {"binary": http.to_binary_event, "structured": http.to_structured_event}

for line in sys.stdin:
    mode, attributes, data = json.loads(line)
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    message = MODES[mode](CloudEvent(attributes=attributes, data=data))
    request = urllib.request.Request(f"{os.environ['IEM_URL']}/cloudevents/", message.body, method="POST")
    for name, value in message.headers.items():
        request.add_header(name, value)
    request.add_header("Authorization", f"Bearer {os.environ['IEM_TOKEN']}")
    try:
        with urllib.request.urlopen(request) as answer:
            print(answer.status)
    except urllib.error.HTTPError as refused:
        print(refused.code, refused.read().decode())
