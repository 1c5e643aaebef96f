#!/usr/bin/env bash
# Two builds of the server at the same load, in turns: what a call costs in each, and the ratio.
#   bash benches/compare.sh BEFORE AFTER        (two `offhook` binaries; `after` also plays the callers)
# Round by round the order changes, so that a machine that others share is as slow for the one as for the other; medians count.
set -euo pipefail
before=$1 after=$2
rounds=${ROUNDS:-3}
echo_calls=${ECHO:-300}
talk_calls=${CALLS:-500}
window=${WINDOW:-10s}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null; rm -rf "$work"' EXIT

once() { # build, agent, calls, options of load
  local binary=$1 agent=$2 calls=$3
  shift 3
  OFFHOOK_LOG=error taskset -c 0 "$binary" serve --agent "$agent" --workers 1 --listen 127.0.0.1:8768 >"$work/log" 2>&1 &
  server=$!
  for _ in $(seq 300); do (exec 3<>/dev/tcp/127.0.0.1/8768) 2>/dev/null && break; sleep 0.1; done
  taskset -c 1 "$after" load http://127.0.0.1:8768/voice "$@" --calls 1 --ramp 0s --window 4s >/dev/null || true
  idle=$(awk '/VmRSS/ { print $2 * 1024 }' "/proc/$server/status")
  taskset -c 1 "$after" load http://127.0.0.1:8768/voice "$@" --calls "$calls" --window "$window" --answer-within 1s \
    --ramp "$((calls > 300 ? calls / 60 : 5))s" --server-pid "$server" --json >"$work/report" || true
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
  sed "s/^{/{\"idle\":$idle,/" "$work/report"
}

for agent in echo listener; do
  calls=$talk_calls options=()
  if [ "$agent" = echo ]; then calls=$echo_calls options=(--echo); fi
  for round in $(seq "$rounds"); do
    order=(before after); [ $((round % 2)) = 0 ] && order=(after before)
    for which in "${order[@]}"; do once "${!which}" "$agent" "$calls" "${options[@]}" >"$work/$agent.$which.$round.json"; done
  done
done
python3 - "$work" <<'P'
import glob, json, os, statistics, sys
def flat(value, at=""):
    if isinstance(value, dict):
        for key, inner in value.items(): yield from flat(inner, f"{at}.{key}" if at else key)
    elif isinstance(value, (int, float)): yield at, float(value)
def row(report):
    values = dict(flat(report))
    values["cores per call, %"] = 100 * values["server.cores"] / values["calls"]
    values["memory per call, KiB"] = (values["server.resident"] - values["idle"]) / values["calls"] / 1024
    return values
wanted = {"echo": ["cores per call, %", "memory per call, KiB", "round_trip_ms.p50", "round_trip_ms.p99", "failed", "gaps"],
          "listener": ["cores per call, %", "memory per call, KiB", "response_ms.p50", "response_ms.p99", "failed", "gaps"]}
print(f"{'':28}{'before':>14}{'after':>14}   ratio")
for agent, keys in wanted.items():
    rows = {which: [row(json.load(open(f))) for f in sorted(glob.glob(f"{sys.argv[1]}/{agent}.{which}.*.json"))] for which in ("before", "after")}
    for key in keys:
        a, b = (statistics.median(row[key] for row in rows[which]) for which in ("before", "after"))
        print(f"{agent + ' ' + key:28}{a:>14.3f}{b:>14.3f}   {b / a if a else 0:.3f}   {[row[key] for row in rows['before']]} {[row[key] for row in rows['after']]}")
P
