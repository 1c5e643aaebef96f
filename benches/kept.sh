#!/usr/bin/env bash
# What keeping calls costs the workers: CALLS (300) calls at once on a server that keeps nothing, and on one that writes tapes, sound, and
# documents, encrypted, and exports traces; in turn, ROUNDS (3) times, in one run. Counted is the processor time of the worker threads
# alone, and, apart, that of all other threads. Release build: `make kept`. AGENT=pizza for the embedded stages, which take much more.
set -euo pipefail
cd "$(dirname "$0")/.."
calls=${CALLS:-300} rounds=${ROUNDS:-3} window=${WINDOW:-20} agent=${AGENT:-echo}
offhook=$(realpath "${OFFHOOK:-${CARGO_TARGET_DIR:-target}/release/offhook}")
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
port=${PORT:-15540}
printf '[recording]\nform = "wav"\n' > "$folder/offhook.toml"
: > "$folder/none.toml"
hertz=$(getconf CLK_TCK)

# Ticks of threads whose names begin with `worker-` (1), or of all others (0).
ticks() {
  local pid=$1 of=$2 task
  for task in /proc/"$pid"/task/*/stat; do
    sed 's/^[0-9]* (\(.*\)) /\1 /' "$task" 2>/dev/null || true
  done | awk -v of="$of" '{ w = ($1 ~ /^worker-/) ? 1 : 0; if (w == of) sum += $13 + $14 } END { print sum + 0 }'
}

# A name, and what the server has more in its environment and on its command line.
measure() {
  local name=$1 environment=$2; shift 2
  # shellcheck disable=SC2086
  env -u PORT OFFHOOK_LOG=error $environment "$offhook" serve --agent "$agent" --listen "127.0.0.1:$port" "$@" >"$folder/server" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    curl --silent --fail "http://127.0.0.1:$port/readyz" >/dev/null && break
    kill -0 "$server" || { cat "$folder/server" >&2; exit 1; }
    sleep 0.1
  done
  "$offhook" load "http://127.0.0.1:$port/voice" --calls "$calls" $([ "$agent" = echo ] && echo --echo --latest 1s) --ramp 6s --window "$((window + 4))s" >"$folder/load.$name" 2>&1 &
  local load=$!
  for _ in $(seq 200); do
    [ "$(curl --silent "http://127.0.0.1:$port/metrics" | awk '/^offhook_calls_in_progress /{print $2}')" = "$calls" ] && break
    sleep 0.1
  done
  sleep 1
  local w0 o0 w1 o1; w0=$(ticks "$server" 1); o0=$(ticks "$server" 0)
  sleep "$window"
  w1=$(ticks "$server" 1); o1=$(ticks "$server" 0)
  wait "$load" || true
  kill "$server"; wait "$server" 2>/dev/null || true; server=
  awk -v n="$name" -v w=$((w1 - w0)) -v o=$((o1 - o0)) -v s="$window" -v h="$hertz" \
    'BEGIN { printf "%-8s workers %6.2f %%  other threads %6.2f %% of a core\n", n, 100 * w / h / s, 100 * o / h / s }' | tee -a "$folder/all"
  rm -rf "$folder/calls"
}

key=$(head -c 32 /dev/urandom | base64)
for _ in $(seq "$rounds"); do
  measure without "" --config "$folder/none.toml"
  measure with "OFFHOOK_STORE_KEY=$key OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9" --config "$folder/offhook.toml" --record "$folder/calls"
done
awk '{ sum[$1] += $3; n[$1]++ } END { a = sum["without"] / n["without"]; b = sum["with"] / n["with"];
  printf "workers: %.2f %% without, %.2f %% with: %+.1f %%\n", a, b, 100 * (b - a) / a }' "$folder/all"
