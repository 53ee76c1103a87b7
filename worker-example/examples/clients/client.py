"""Runs a task, prints Claude's answer, and resumes the stream when the connection is lost.

    SERVICE_URL        the URL of the service
    ID_TOKEN           the caller's token; without it, google-auth makes an identity token if it is installed
    ANTHROPIC_API_KEY  the credential of the task

Usage: client.py PROMPT
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

SERVICE = os.environ["SERVICE_URL"].rstrip("/")


def token() -> str | None:
    if "ID_TOKEN" in os.environ:
        return os.environ["ID_TOKEN"]
    try:
        import google.auth.transport.requests
        import google.oauth2.id_token
    except ImportError:
        return None
    request = google.auth.transport.requests.Request()
    return google.oauth2.id_token.fetch_id_token(request, SERVICE)


def call(path: str, body: dict | None = None, headers: dict | None = None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SERVICE + path, data, headers or {})
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if bearer := token():
        request.add_header("Authorization", f"Bearer {bearer}")
    return urllib.request.urlopen(request)


def events(task: str):
    """Yields (name, data) of each event. After a lost connection it goes on where it was."""
    last, failures = None, 0
    while failures < 30:
        try:
            headers = {} if last is None else {"Last-Event-ID": last}
            with call(f"/tasks/{task}/events", headers=headers) as stream:
                name, number = "message", None
                for line in stream:
                    field, _, value = line.decode().rstrip("\n").partition(": ")
                    if field == "event":
                        name = value
                    elif field == "id":
                        number = value
                    elif field == "data":
                        failures, last = 0, number or last
                        yield name, json.loads(value)
                    elif not field:
                        name, number = "message", None
                    if name == "end" and field == "data":
                        return
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise
        failures += 1
        time.sleep(1)
    raise SystemExit("the service does not answer")


def main() -> None:
    request = {"prompt": sys.argv[1], "anthropicApiKey": os.environ["ANTHROPIC_API_KEY"]}
    try:
        with call("/tasks", request) as answer:
            task = json.load(answer)["taskId"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {json.load(error)['error']}")
    print("task", task, file=sys.stderr)
    for name, event in events(task):
        if name == "end":
            print((event.get("result") or {}).get("text") or event.get("error") or "")
            sys.exit(0 if event["status"] == "completed" else 1)
        print(name, event.get("type", ""), file=sys.stderr)


main()
