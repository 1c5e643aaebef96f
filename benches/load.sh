#!/usr/bin/env bash
# Calls per core: server on one core, load on another, more and more calls until the objective breaks.
#
#   benches/load.sh [ours] [peers]
#
# `ours`, the default: a bare echo, and our server. `peers`: servers made with other engines (benches/peers), the same way.
# What ours and, in the same run, peers can do becomes the table of docs/performance.md. Its curves are drawn into docs/figures.
set -euo pipefail
cd "$(dirname "$0")/.."
steps=${STEPS:-10 100 300 400 500 600 700 800 900 1000 1100 1300 1500 1700}
window=${WINDOW:-10s}
target=${CARGO_TARGET_DIR:-target}
load=$target/release/offhook
what=" ${*:-ours} "
cargo build --release --quiet --bin offhook
if [[ $what == *" ours "* ]]; then cargo build --release --quiet --package offhook-benches --example bare_echo; fi
if [[ $what == *" peers "* ]]; then bash benches/peers/install.sh; fi
mkdir -p $target/load
table=$target/load/table.md
runs=$target/load/runs.tsv
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT
: > "$table"
: > "$runs"

# port, load's address, load's own options, then the server's command
start() {
    local port=$1 address=$2 options=$3
    shift 3
    OFFHOOK_LOG=error taskset -c 0 "$@" >"$target/load/$port.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.1
    done
    # A call that isn't measured: what the first one brings once and for all (code, networks, voices) is no call's price.
    # shellcheck disable=SC2086
    taskset -c 1 "$load" load "$address" $options --calls 1 --ramp 0s --window 4s >/dev/null || true
}

stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

# What it is, what it does, port, load's address, load's own options, steps, then the server's command. Each step has a new server:
# what one keeps of calls that ended would count as the next ones'. A step that breaks the objective has a second try, for on a
# machine that others share one hiccup is nobody's fault.
measure() {
    local name=$1 does=$2 port=$3 address=$4 options=$5 steps=$6 kind=answer some
    local rows=$target/load/$port.txt
    shift 6
    if [[ $options == *--echo* ]]; then kind=echo; fi
    echo "== $name, $does"
    : > "$rows"
    for some in $steps; do
        for _ in 1 2; do
            start "$port" "$address" "$options" "$@"
            # The knee is what is looked for: breaking the objective ends a run, and is no failure of it.
            # At most 60 calls begin in a second: many at once are served, not many at once begun.
            # shellcheck disable=SC2086
            taskset -c 1 "$load" load "$address" $options --calls "$some" --window "$window" --answer-within 1s \
                --ramp "$((some > 300 ? some / 60 : 5))s" \
                --server-pid "$server" > "$rows.step" || true
            stop
            grep -q 'objective broken' "$rows.step" || break
        done
        if [ -s "$rows" ]; then sed -i 1d "$rows.step"; fi
        tee -a "$rows" < "$rows.step"
        if grep -q 'objective broken' "$rows"; then break; fi
    done
    rm -f "$rows.step"
    { printf '\n**%s, %s**\n\n```\n' "$name" "$does"; cat "$rows"; printf '```\n'; } >> "$table"
    printf '%s\t%s\t%s\t%s\n' "$kind" "$name" "$does" "$rows" >> "$runs"
}

uptime
if [[ $what == *" ours "* ]]; then
    measure "tokio-tungstenite" "bare echo" 8765 ws://127.0.0.1:8765/ --echo "$steps" \
        $target/release/examples/bare_echo 127.0.0.1:8765
    # The layer that we didn't take, and the one that we took as we use it: at one load, for what a frame costs.
    measure "fastwebsockets" "bare echo" 8763 ws://127.0.0.1:8763/ --echo "300" \
        $target/release/examples/bare_echo 127.0.0.1:8763 fastwebsockets
    measure "tokio-tungstenite with the engine's settings" "bare echo" 8764 ws://127.0.0.1:8764/ --echo "300" \
        $target/release/examples/bare_echo 127.0.0.1:8764 tuned
    measure "offhook" "echo through the whole path" 8766 http://127.0.0.1:8766/voice --echo "$steps" \
        $target/release/offhook serve --agent echo --workers 1 --listen 127.0.0.1:8766
    measure "offhook" "listening and answering (script, flite's voice, no recogniser)" 8767 http://127.0.0.1:8767/voice "" \
        "$steps" $target/release/offhook serve --agent listener --workers 1 --listen 127.0.0.1:8767
fi
if [[ $what == *" peers "* ]]; then
    pipecat=($target/peers/pipecat/bin/python benches/peers/pipecat/server.py)
    rustvani=$target/peers/rustvani/release/rustvani-peer
    measure "rustvani 0.4.0-dev.27" "echo" 8771 ws://127.0.0.1:8771/ --echo \
        "50 100 200 300 400 500 600" "$rustvani" echo 8771
    measure "rustvani 0.4.0-dev.27" "Silero, fixed reply" 8772 ws://127.0.0.1:8772/ "" \
        "20 40 60 80 100 120" "$rustvani" vad 8772
    measure "Pipecat 1.14" "echo" 8773 ws://127.0.0.1:8773/ "--echo --latest 60ms" \
        "5 10 20 40 60 80" "${pipecat[@]}" echo 8773
    measure "Pipecat 1.14" "Silero, fixed reply" 8774 ws://127.0.0.1:8774/ "" \
        "1 4 6 8 10 12 15 20" "${pipecat[@]}" vad 8774
    measure "Pipecat 1.14" "Silero, fixed reply, all as it comes" 8775 ws://127.0.0.1:8775/ "" \
        "4 6 8 10 12 15" "${pipecat[@]}" usual 8775
fi
awk -f benches/summary.awk "$runs" | tee $target/load/summary.md
[[ $what == *" ours "* ]] || exit 0

cargo run --release --quiet --package offhook-benches --example load_curves -- "$runs" docs/figures
page=docs/performance.md
{
    sed '/<!-- table -->/q' "$page"
    echo
    cat $target/load/summary.md "$table"
    sed -n '/<!-- end of table -->/,$p' "$page"
} > $target/load/page.md
cp $target/load/page.md "$page"
