"""A server made with Pipecat, to be measured beside ours: one process, one event loop, as its Twilio examples do it.

    python server.py echo|vad|usual PORT

`echo` returns every frame. `vad` listens with Silero's detector and plays a fixed second of sound when the caller has
spoken, as a voice service would: no recogniser, no language model, no network. Whatever costs time and isn't needed for
that is switched off (RTVI, turn tracking, idle watch, resampling, log). `usual` is the same with all but the log left as it
comes.
"""

import math
import struct
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

RATE = 8000
# A second of a soft tone, in the 20 ms frames in which voice services send it.
TONE = [round(4000 * math.sin(2 * math.pi * 440 * sample / RATE)) for sample in range(RATE)]
REPLY = [struct.pack("<160h", *TONE[start : start + 160]) for start in range(0, RATE, 160)]
# Pauses between words are shorter than this.
PATIENT = VADParams(stop_secs=0.5)
# What costs time and isn't needed.
BARE = {"enable_rtvi": False, "enable_turn_tracking": False, "idle_timeout_secs": None}


class Echo(FrameProcessor):
    """Makes each frame heard one to say."""

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
        else:
            await self.push_frame(frame, direction)


class Reply(FrameProcessor):
    """Says the same after everything that the caller says. Takes the caller's sound: nobody behind it wants it."""

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            return
        await self.push_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and direction == FrameDirection.DOWNSTREAM:
            await self.push_frame(TTSStartedFrame())
            for sound in REPLY:
                await self.push_frame(TTSAudioRawFrame(sound, RATE, 1))
            await self.push_frame(TTSStoppedFrame())


def processors(mode: str) -> list[FrameProcessor]:
    if mode == "echo":
        return [Echo()]
    params = VADParams() if mode == "usual" else PATIENT
    return [VADProcessor(vad_analyzer=SileroVADAnalyzer(params=params)), Reply()]


def app(mode: str) -> FastAPI:
    server = FastAPI()

    @server.websocket("/")
    async def call(websocket: WebSocket):
        await websocket.accept()
        _, start = await parse_telephony_websocket(websocket)
        serializer = TwilioFrameSerializer(
            stream_sid=start["stream_id"],
            call_sid=start["call_id"],
            params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
        )
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            add_wav_header=False,
            # An echo is to return in the frames in which it came; replies go in Pipecat's own 40 ms.
            audio_out_10ms_chunks=2 if mode == "echo" else 4,
            serializer=serializer,
        )
        transport = FastAPIWebsocketTransport(websocket=websocket, params=params)
        worker = PipelineWorker(
            Pipeline([transport.input(), *processors(mode), transport.output()]),
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
            **({} if mode == "usual" else BARE),
        )

        @transport.event_handler("on_client_disconnected")
        async def on_client_disconnected(_transport, _websocket):
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    return server


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    uvicorn.run(app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", log_level="error")
