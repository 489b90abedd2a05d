#!/bin/sh
# Makes the Python of the independent client: setup.sh FOLDER (usually target/venv). Does nothing where it is up to date.
set -eu
folder=${1:?usage: setup.sh FOLDER}
requirements=$(dirname "$0")/requirements.txt
mkdir -p "$(dirname "$folder")"
# Test binaries run at the same time; the second one waits and finds it done.
exec 9>"$folder.lock"
flock 9
if cmp -s "$requirements" "$folder/requirements.txt"; then
    exit 0
fi
python3 -c 'import venv, ensurepip' 2>/dev/null || {
    echo "the independent client needs Python's venv: apt-get install python3-venv" >&2
    exit 1
}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
# Last, so that an interrupted installation is done again.
cp "$requirements" "$folder/requirements.txt"
