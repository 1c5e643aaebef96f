#!/usr/bin/env bash
# A server that is told to stop with hundreds of calls (200; CALLS=…): nobody is cut, every record and tape is whole, and its exit status
# says so. Prints what was found, and fails if anything of it isn't so.
set -euo pipefail
cd "$(dirname "$0")/.."
calls=${CALLS:-200}
offhook=$(realpath "${CARGO_TARGET_DIR:-target}")/release/offhook
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
address=127.0.0.1:${PORT:-15530}

env -u PORT "$offhook" serve --agent echo --listen "$address" --record "$folder/calls" --compress=false >"$folder/out" 2>"$folder/err" &
server=$!
until curl --silent --fail "http://$address/readyz" >/dev/null; do sleep 0.05; done
"$offhook" load "http://$address/voice" --calls "$calls" --echo --latest 1s --window 14s >"$folder/load" 2>&1 &
load=$!
in_progress() { curl --silent "http://$address/metrics" | awk '/^offhook_calls_in_progress /{print $2}'; }
for _ in $(seq 100); do [ "$(in_progress)" = "$calls" ] && break; sleep 0.2; done
echo "$(in_progress) calls in progress; the server is told to stop"
kill -TERM "$server"
sleep 0.5
ready=$(curl --silent --output /dev/null --write-out '%{http_code}' "http://$address/readyz")
failed=0
must() { if [ "$2" = "$3" ]; then echo "$1: $2"; else echo "$1: $2, and must be $3" >&2; failed=1; fi; }
must "readyz while it drains" "$ready" 503
status=0; wait "$load" || status=$?
must "exit status of the callers: none was cut, none heard a gap" "$status" 0
status=0; wait "$server" || status=$?
must "exit status of the server" "$status" 0
whole() { local count=0 file; for file in "$folder"/calls/*"$1"; do [ "$(tail -c 1 "$file")" = "$2" ] && count=$((count + 1)); done; echo "$count"; }
must "records that are whole" "$(whole .call.json '}')" "$calls"
must "tapes that end with a whole line" "$(whole .tape.jsonl '')" "$calls"
must "files that were left half written" "$(find "$folder/calls" -name '*.part' | wc -l)" 0
cat "$folder/load"
exit "$failed"
