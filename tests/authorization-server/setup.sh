#!/bin/sh
# Installs the authorization server of the tests: setup.sh FOLDER (usually target/authorization-server). Does nothing, and
# needs no network, where it is up to date.
set -eu
folder=${1:?usage: setup.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
# Test binaries run at the same time; the second one waits and finds it done.
exec 9>"$folder.lock"
flock 9
command -v node >/dev/null || {
    echo "the authorization server needs Node.js 18 or later: apt-get install nodejs npm" >&2
    exit 1
}
# The modules look for oidc-provider beside themselves.
for module in "$here"/*.mjs; do
    cmp -s "$module" "$folder/${module##*/}" || cp "$module" "$folder/"
done
if cmp -s "$here/package-lock.json" "$folder/installed-lock.json"; then
    exit 0
fi
command -v npm >/dev/null || {
    echo "the authorization server needs npm: apt-get install npm" >&2
    exit 1
}
cp "$here/package.json" "$here/package-lock.json" "$folder/"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
# Last, so that an interrupted installation is done again.
cp "$here/package-lock.json" "$folder/installed-lock.json"
