#!/bin/sh
# Runs the tests of the scripts that need no browser; quiet unless one fails.
cd "$(dirname "$0")/.." || exit 1
said=$(node --test static/js/tests/*.test.mjs 2>&1) && exit 0
echo "$said"
exit 1
