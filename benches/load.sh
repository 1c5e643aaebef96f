#!/usr/bin/env bash
# Calls per core: server on one core, load on another, more and more calls until the objective breaks. Writes the table of
# docs/performance.md, and pages with curves in target/load/.
set -euo pipefail
cd "$(dirname "$0")/.."
steps=${STEPS:-100,300,500,700,900,1100,1300,1500,1700}
window=${WINDOW:-12s}
cargo build --release --quiet --bin offhook
cargo build --release --quiet --package offhook-benches --example bare_echo
mkdir -p target/load
table=target/load/table.md
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT
: > "$table"

# name, port, load's address, load's own options, then the server's command
measure() {
    local name=$1 port=$2 address=$3 options=$4
    shift 4
    echo "== $name"
    OFFHOOK_LOG=error taskset -c 0 "$@" >"target/load/$port.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.1
    done
    # The knee is what is looked for: breaking the objective ends a run, and is no failure of it.
    # shellcheck disable=SC2086
    taskset -c 1 ./target/release/offhook load "$address" $options --steps "$steps" --window "$window" --ramp 6s \
        --server-pid "$server" --html "target/load/$port.html" | tee "target/load/$port.txt" || true
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
    { printf '\n**%s**\n\n```\n' "$name"; cat "target/load/$port.txt"; printf '```\n'; } >> "$table"
}

uptime
measure "tokio-tungstenite, bare echo" 8765 ws://127.0.0.1:8765/ --echo \
    ./target/release/examples/bare_echo 127.0.0.1:8765
measure "offhook, echo through the whole path" 8766 http://127.0.0.1:8766/voice --echo \
    ./target/release/offhook serve --agent echo --workers 1 --listen 127.0.0.1:8766
measure "offhook, listening and answering (script, flite's voice, no recogniser)" 8767 http://127.0.0.1:8767/voice "" \
    ./target/release/offhook serve --agent listener --workers 1 --listen 127.0.0.1:8767

page=docs/performance.md
{
    sed '/<!-- table -->/q' "$page"
    cat "$table"
    sed -n '/<!-- end of table -->/,$p' "$page"
} > target/load/page.md
cp target/load/page.md "$page"
