#!/usr/bin/env bash
# Publishes the records on standard input, one JSON object a line: publish.sh <records.ndjson
#   IEM_URL     the gateway, such as https://iem.example.com
#   IEM_NETRC   a file with the line: machine iem.example.com login USER password PASSWORD
#   IEM_KIND    allevents (the default), metrics, entity, service or healthcheck
# Sends again on 429, 5xx, a timeout and where nothing listens, as Retry-After says; not after a connection
# that breaks off. No secret is in the list of processes. curl 7.76 or newer.
set -euo pipefail
retry=(--retry 8 --retry-connrefused --max-time 30)

granted=$(curl -sS --fail-with-body "${retry[@]}" --netrc-file "$IEM_NETRC" \
    -d grant_type=client_credentials "$IEM_URL/oauth2/token") || { printf '%s\n' "$granted" >&2; exit 1; }
token=$(sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p' <<<"$granted")

curl -sS --fail-with-body "${retry[@]}" \
    -H @<(printf 'Authorization: Bearer %s\n' "$token") \
    -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
    -H 'Content-Type: application/x-ndjson' --data-binary @- \
    "$IEM_URL/publish/${IEM_KIND:-allevents}/"
