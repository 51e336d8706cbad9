#!/bin/sh
# Makes a Python 3.11 environment in the folder $1: tflite-runtime has no wheels for newer ones.
set -eu
for python in python3.11 python3; do
    if command -v "$python" >/dev/null 2>&1 &&
        "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        exec "$python" -m venv "$1"
    fi
done
echo "No Python 3.11 here: tflite-runtime ends there, so this check cannot run." >&2
exit 1
