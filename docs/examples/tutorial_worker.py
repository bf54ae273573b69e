# A worker in plain Python that counts words. TASKDIST_TOKEN=tdn_... python tutorial_worker.py NAME PORT [HOST:PORT]
import json
import os
import sys
import threading
from contextlib import suppress
from http import client, server

name, port, dispatcher = [*sys.argv[1:], "127.0.0.1:8000"][:3]
headers = {"Authorization": "Bearer " + os.environ["TASKDIST_TOKEN"], "Content-Type": "application/json"}


def call(path, **message):
    while True:  # whatever is to be said outlives a restart of the dispatcher
        with suppress(OSError, client.HTTPException):
            link = client.HTTPConnection(dispatcher, timeout=10)
            link.request("POST", path, json.dumps({"nodeId": name, **message}), headers)
            answer = link.getresponse()
            if answer.status < 500:
                return json.load(answer)
        threading.Event().wait(1)


class Worker(server.BaseHTTPRequestHandler):
    def do_POST(self):
        task = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        try:
            outcome = {"result": {"words": len(task["payload"]["text"].split())}}
        except Exception as error:
            outcome = {"error": repr(error)}
        call("/result", taskId=task["taskId"], **outcome)


threading.Thread(target=server.ThreadingHTTPServer(("127.0.0.1", int(port)), Worker).serve_forever, daemon=True).start()
reply = {}
while True:
    reply = call("/heartbeat" if "nodeId" in reply else "/register", url=f"http://127.0.0.1:{port}", types=["task"])
    threading.Event().wait(5)
