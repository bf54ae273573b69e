#!/bin/sh
# Submit a text and look at the task until it has ended: TASKDIST_TOKEN=tdk_... sh submit.sh 'some words' [DISPATCHER_URL]
set -eu
text=$1
base=${2:-http://127.0.0.1:8000}
ask() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer $TASKDIST_TOKEN" "$@"; }

answer=$(ask -H 'Content-Type: application/json' -d "{\"taskId\": \"$(date +%s%N)\", \"payload\": {\"text\": \"$text\"}}" "$base/task")
echo "$answer"
id=$(printf '%s' "$answer" | sed 's/.*"id": *"\([^"]*\)".*/\1/')
while :; do
    task=$(ask "$base/api/v1/tasks/$id")
    case $task in
        *'"state":"succeeded"'* | *'"state":"failed"'* | *'"state":"cancelled"'* | *'"state":"expired"'*) break ;;
    esac
    sleep 1
done
echo "$task"
