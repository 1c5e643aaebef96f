#!/usr/bin/env bash
# An echo's way there and back, with and without forged webhooks: p99 must not differ by more than 1 ms.
#   bash benches/forged.sh [requests a second] [profile: release] [rounds]
# The server has a core of its own. On the other are the good calls, and whoever forges: at the lowest priority, so that what it takes
# itself isn't measured. Rounds with and without take turns; the medians count.
set -euo pipefail
cd "$(dirname "$0")/.."
rate=${1:-2000}
profile=${2:-release}
rounds=${3:-3}
window=${WINDOW:-12}
target=${CARGO_TARGET_DIR:-target}
offhook=${OFFHOOK:-$target/$profile/offhook}
flags=(); [ "$profile" = release ] && flags=(--release)
[ -n "${OFFHOOK:-}" ] || cargo build --quiet "${flags[@]}" --bin offhook
[ -x "$target/$profile/examples/forge" ] || cargo build --quiet "${flags[@]}" --package offhook-benches --example forge
on=(env) apart=(env)
if [ "$(nproc)" -gt 1 ]; then on=(taskset --cpu-list 0) apart=(taskset --cpu-list 1); fi
log=$(mktemp)
export TWILIO_AUTH_TOKEN=12345
"${on[@]}" "$offhook" serve --agent echo --listen 127.0.0.1:0 >"$log" 2>"$target/forged.log" & server=$!
trap 'kill -KILL $server 2>/dev/null; rm -f "$log"' EXIT
for _ in $(seq 100); do grep -q "://" "$log" && break; sleep 0.1; done
address=$(sed -n 's|.*://\([0-9.:]*\).*|\1|p' "$log" | head -1)
p99() {
  "${apart[@]}" "$offhook" load "http://$address/voice" --calls 5 --echo --latest 1s --window "${window}s" --json |
    sed -n 's/.*"round_trip_ms":{[^}]*"p99":\([0-9.]*\).*/\1/p'
}
median() { tr ' ' '\n' | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
without=() with=()
for _ in $(seq "$rounds"); do
  without+=("$(p99)")
  "${apart[@]}" nice -n 19 "$target/$profile/examples/forge" "$address" "$rate" "$((window + 8))" >"$log.forged" & forge=$!
  with+=("$(p99)")
  wait "$forge"
  echo "p99 ${without[-1]} ms without, ${with[-1]} ms with forged requests: $(cat "$log.forged")"
done
rm -f "$log.forged"
a=$(echo "${without[@]}" | median) b=$(echo "${with[@]}" | median)
echo "medians of $rounds: $a ms without, $b ms with $rate a second"
awk -v a="$a" -v b="$b" 'BEGIN { exit !(b - a <= 1.0) }' || { echo "more than 1 ms apart"; exit 1; }
