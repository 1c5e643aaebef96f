#!/usr/bin/env bash
# What the peers need: Pipecat from PyPI, rustvani from crates.io, into target/peers (or under CARGO_TARGET_DIR).
set -euo pipefail
cd "$(dirname "$0")/../.."
peers=${CARGO_TARGET_DIR:-$PWD/target}/peers
wanted=benches/peers/pipecat/requirements.txt
mkdir -p "$peers/models"
if ! cmp --silent "$wanted" "$peers/pipecat/requirements.txt"; then
    echo "installing Pipecat (a minute or two)"
    python3 -m venv "$peers/pipecat"
    "$peers/pipecat/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
    cp "$wanted" "$peers/pipecat/requirements.txt"
fi
# Its build fetches models that aren't there; these two are for features that nobody uses here. The one in use is in the crate.
touch "$peers/models/smart_turn_weights.bin.gz" "$peers/models/silero.onnx"
echo "building rustvani's server in release (some minutes the first time)"
RUSTVANI_CACHE_DIR="$peers/models" cargo build --release --quiet --locked --target-dir "$peers/rustvani" \
    --manifest-path benches/peers/rustvani/Cargo.toml
