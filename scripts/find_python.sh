#!/bin/sh
# Print the path of a Python that can run this project, or say on standard error what is missing.
#   find_python.sh           Python 3.11 or newer; the PYTHON variable names one to use instead
#   find_python.sh newest    the newest Python from 3.12 on; nothing, and status 1, when there is none
set -u

# A name on the PATH may be a shim of a version manager that does not start: every candidate is run.
works() {
    "$1" -c "import sys; sys.exit(not $2 <= sys.version_info[:2] < (3, 15))" >/dev/null 2>&1
}

can_make_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

real_path() {
    "$1" -c 'import sys; print(sys.executable)'
}

if [ "${1:-}" = newest ]; then
    for version in 3.14 3.13 3.12; do
        for candidate in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
            if works "$candidate" '(3, 12)' && can_make_venv "$candidate"; then
                real_path "$candidate"
                exit 0
            fi
        done
    done
    exit 1
fi

found=''
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.14 python3.11 python \
    "$HOME"/.pyenv/versions/3.1[1-4].*/bin/python}; do
    works "$candidate" '(3, 11)' || continue
    found=$candidate
    if can_make_venv "$candidate"; then
        real_path "$candidate"
        exit 0
    fi
done

if [ -n "$found" ]; then
    echo "$found cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "$PYTHON does not start or is not Python 3.11 to 3.14. Name another with: make run PYTHON=/path/to/python" >&2
else
    echo "taskdist needs Python 3.11 to 3.14 and found none. Install one, or name it: make run PYTHON=/path/to/python" >&2
fi
exit 2
