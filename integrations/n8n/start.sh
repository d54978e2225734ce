#!/bin/sh
# Starts n8n with the workflow of neopulse imported and published: nothing to click. Everything comes from the environment:
#   NEOPULSE_N8N_SECRET                                        what the webhook asks for; the same as neopulse's, without it
#                                                              one that nobody knows
#   MAIL_HOST MAIL_PORT MAIL_USER MAIL_PASSWORD MAIL_ENCRYPTION  the mail server; tls, starttls (where it offers it) or none
#   N8N_ENCRYPTION_KEY                                         encrypts the credentials; without it one is made once and kept
#   N8N_USER_FOLDER                                            n8n keeps its database in the folder .n8n there
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
export N8N_USER_FOLDER="${N8N_USER_FOLDER:-$HOME}"
folder="$N8N_USER_FOLDER/.n8n"
mkdir -p "$folder"
umask 077

random() { node -e 'process.stdout.write(require("node:crypto").randomBytes(32).toString("hex"))'; }

if [ -z "${N8N_ENCRYPTION_KEY:-}" ]; then
    if [ ! -s "$folder/encryption.key" ]; then
        random >"$folder/encryption.key.part"
        mv "$folder/encryption.key.part" "$folder/encryption.key"
    fi
    N8N_ENCRYPTION_KEY=$(cat "$folder/encryption.key")
fi
export N8N_ENCRYPTION_KEY

if [ -z "${NEOPULSE_N8N_SECRET:-}" ]; then
    echo "NEOPULSE_N8N_SECRET is not set: the webhook takes no call until n8n and neopulse are given the same one" >&2
    NEOPULSE_N8N_SECRET=$(random)
fi
export NEOPULSE_N8N_SECRET

export MAIL_PORT="${MAIL_PORT:-587}" MAIL_TLS=false MAIL_PLAIN=false
case "${MAIL_ENCRYPTION:-starttls}" in
    tls) MAIL_TLS=true ;;
    starttls) ;;
    none)
        MAIL_PLAIN=true
        if [ -n "${MAIL_PASSWORD:-}" ] && [ "${MAIL_HOST:-}" != mailpit ] && [ "${MAIL_HOST:-}" != localhost ] && [ "${MAIL_HOST:-}" != 127.0.0.1 ]; then
            echo "n8n cannot start: MAIL_ENCRYPTION=none would send MAIL_PASSWORD in the clear" >&2
            exit 2
        fi
        ;;
    *) echo "n8n cannot start: MAIL_ENCRYPTION is none of tls, starttls, none" >&2; exit 2 ;;
esac

# One execution at a time: the second of two equal calls then finds what the first has noted down.
export N8N_CONCURRENCY_PRODUCTION_LIMIT=1
export DB_TYPE=sqlite N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS=true
# Nothing but mails leaves the machine.
export N8N_DIAGNOSTICS_ENABLED=false N8N_VERSION_NOTIFICATIONS_ENABLED=false N8N_TEMPLATES_ENABLED=false
export N8N_PERSONALIZATION_ENABLED=false N8N_HIRING_BANNER_ENABLED=false N8N_DISABLED_MODULES=mcp-registry
export EXTERNAL_FRONTEND_HOOKS_URLS='' N8N_DIAGNOSTICS_CONFIG_FRONTEND='' N8N_DIAGNOSTICS_CONFIG_BACKEND=''
export EXECUTIONS_DATA_PRUNE=true EXECUTIONS_DATA_MAX_AGE=720

filled="$folder/credentials.json"
trap 'rm -f "$filled"' EXIT
node "$here/render.mjs" "$here/credentials.template.json" "$filled"
n8n import:credentials --input="$filled"
rm -f "$filled"
trap - EXIT
n8n import:workflow --input="$here/workflow.json"
n8n publish:workflow --id=neopulseRunEnded  # an import is not active by itself

exec n8n start
