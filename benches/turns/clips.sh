#!/usr/bin/env bash
# The callers of `make turns`: each line spoken by six synthetic voices, μ-law at 8 kHz, into target/turns.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${CARGO_TARGET_DIR:-$here/../../target}/turns
mkdir -p "$out"
cd "$out"

# As telephones have it: 8 kHz μ-law, silence cut off at both ends.
narrow() {
  sox -V1 "$1" -r 8000 -e mu-law -b 8 -c 1 "$2" silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse
  rm "$1"
}

speak() { # kind, file of lines
  local number=0 line voice name
  while IFS= read -r line; do
    number=$((number + 1))
    for voice in flite:kal flite:awb flite:rms flite:slt espeak:en-us espeak:en-gb+f3; do
      name=$1-$number-${voice/:/-}
      if [ ! -f "$name.wav" ]; then
        case $voice in
          flite:*) flite -voice "${voice#*:}" -t "$line" whole.wav ;;
          espeak:*) espeak-ng -v "${voice#*:}" -s 160 -w whole.wav "$line" ;;
        esac
        narrow whole.wav "$name.wav"
      fi
      printf '{"file":"%s.wav","text":"%s","kind":"%s","speech":[[0.0,%s]]}\n' \
        "$name" "$line" "$1" "$(soxi -D "$name.wav")"
    done
  done < "$here/$2"
}

{ speak line lines.txt; speak back listeners.txt; } > clips.jsonl
