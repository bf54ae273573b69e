#!/bin/sh
# Says by its status whether there is a Node.js 20 or newer, and its npm.
command -v npm >/dev/null 2>&1 || exit 1
major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')
[ -n "$major" ] && [ "$major" -ge 20 ]
