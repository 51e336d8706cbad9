#!/bin/sh
# Makes an environment of an older Python: some packages have no wheels for the newest one.
#   venv-311.sh FOLDER NEEDED_BY [VERSION...]   the versions that will do, best first; default 3.11
set -eu
folder=$1
needed_by=$2
shift 2
[ $# -gt 0 ] || set -- 3.11
for version in "$@"; do
    for python in "python$version" python3; do
        if command -v "$python" >/dev/null 2>&1 && "$python" -c "import sys, venv, ensurepip
sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
            exec "$python" -m venv "$folder"
        fi
    done
done
echo "$needed_by needs Python $(echo "$*" | sed 's/ / or /g'), with its venv module; python3 here is" \
    "$(python3 -V 2>&1). Install one of them beside it (deb, pyenv, uv) and try again." >&2
exit 1
