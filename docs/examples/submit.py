# TASKDIST_TOKEN=tdk_... python submit.py some-id 'some words'; the same id again shows how the task got on
import os
import sys

import requests

api = requests.Session()
api.headers["Authorization"] = "Bearer " + os.environ["TASKDIST_TOKEN"]
task = api.post("http://127.0.0.1:8000/task", json={"taskId": sys.argv[1], "payload": {"text": sys.argv[2]}}).json()
print(api.get(f"http://127.0.0.1:8000/api/v1/tasks/{task['id']}").json())
