#!/usr/bin/env bash
# An echo's way there and back, with and without forged webhooks: p99 must not differ by more than 1 ms.
#   bash benches/forged.sh [requests a second] [profile: release]
set -euo pipefail
cd "$(dirname "$0")/.."
rate=${1:-2000}
profile=${2:-release}
target=${CARGO_TARGET_DIR:-target}
flags=(); [ "$profile" = release ] && flags=(--release)
cargo build --quiet "${flags[@]}" --bin offhook
cargo build --quiet "${flags[@]}" --package offhook-benches --example forge
port=8771
export TWILIO_AUTH_TOKEN=12345
"$target/$profile/offhook" serve --agent echo --listen 127.0.0.1:$port >/dev/null 2>"$target/forged.log" &
server=$!
trap 'kill -INT $server 2>/dev/null; kill -INT $server 2>/dev/null || true' EXIT
sleep 2
measure() { "$target/$profile/offhook" load http://127.0.0.1:$port/voice --calls 5 --echo --latest 1s --window "${window:-16s}" --server-pid $server; }
echo "without forged requests:"
measure
echo "with $rate a second:"
"$target/$profile/examples/forge" 127.0.0.1:$port "$rate" 22 &
measure
wait %2
