#!/usr/bin/env python3
"""The vendors' own clients against the doubles: what an SDK refuses, a double says wrongly.

Run by `make sdks`, which installs the SDKs and starts the doubles. Usage: sdks.py PORT
"""

import asyncio
import base64
import collections
import json
import pathlib
import sys
import threading
import time

import anthropic
import assemblyai.streaming.v3 as assemblyai
import assemblyai.streaming.v3.client as assemblyai_client
import cohere
import deepgram.listen.v1.types as nova
import deepgram.listen.v2.types as flux
import openai
from cartesia import Cartesia
from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Text
from elevenlabs import VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.v_1_text_to_speech_voice_id_multi_stream_input.types import ReceiveMessageMulti
from google import genai
from mistralai.client import Mistral
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect



def linear(octet):
    """A sample of G.711 μ-law."""
    octet = ~octet & 0xFF
    sample = (((octet & 0x0F) << 3) + 0x84 << ((octet & 0x70) >> 4)) - 0x84
    return -sample if octet & 0x80 else sample


HTTP = f"http://127.0.0.1:{sys.argv[1]}"
WS = HTTP.replace("http", "ws")
WAV = (pathlib.Path(__file__).parents[2] / "fixtures/callers/pizza-1.wav").read_bytes()
# A second of silence behind the speech.
MULAW = WAV[WAV.index(b"data") + 8 :] + b"\xff" * 8_000
# The same as linear samples.
LINEAR = b"".join(int.to_bytes(linear(octet), 2, "little", signed=True) for octet in MULAW)
TOOLS = {"type": "object", "properties": {"day": {"type": "string"}}}


def pieces(length):
    for at in range(0, len(MULAW), length):
        time.sleep(0.005)
        yield MULAW[at : at + length].ljust(length, b"\xff")


def exchange(path, headers, say):
    """What comes over a socket until it is closed, while `say` talks."""
    heard = []
    with connect(WS + path, additional_headers=headers) as socket:
        speaker = threading.Thread(target=say, args=(socket,))
        speaker.start()
        try:
            while True:
                heard.append(socket.recv(timeout=10))
        except ConnectionClosed as closed:
            assert closed.rcvd and closed.rcvd.code == 1000, closed
        speaker.join()
    return heard


def typed(messages, types):
    """Every message fits the SDK's type for it, strictly. Gives how many of each there were."""
    read = [json.loads(message) for message in messages]
    for message in read:
        types[message["type"]].model_validate(message)
    return collections.Counter(message.get("event", message["type"]) for message in read)


def chat():
    client = openai.OpenAI(base_url=HTTP + "/v1", api_key="x", max_retries=0)
    ask = {"model": "double", "messages": [{"role": "user", "content": "hi"}]}
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": TOOLS}}]
    with client.chat.completions.stream(**ask, tools=tools) as stream:
        assert stream.get_final_completion().choices[0].finish_reason == "stop"
    chunks = client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    assert any(chunk.usage for chunk in chunks)
    assert client.chat.completions.create(**ask).choices[0].message.content
    assert list(client.models.list())


def responses():
    client = openai.OpenAI(base_url=HTTP + "/v1", api_key="x", max_retries=0)
    tool = {"type": "function", "name": "f", "description": "d", "parameters": TOOLS, "strict": False}
    with client.responses.stream(model="gpt-6-astra", input="hi", tools=[tool]) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == "I heard: hi"
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert client.responses.create(model="double", input="hi", store=False).output_text == "I heard: hi"
    try:
        client.responses.create(model="gpt-6-astra", input="hi", reasoning={"effort": "none"})
    except openai.BadRequestError as refused:
        assert "none" in str(refused)
    else:
        raise AssertionError("this model can't be kept from thinking")


def gemini():
    client = genai.Client(api_key="x", http_options=genai.types.HttpOptions(base_url=HTTP))
    declaration = genai.types.FunctionDeclaration(name="f", description="d", parameters_json_schema=TOOLS)
    config = genai.types.GenerateContentConfig(
        system_instruction="Be brief.",
        tools=[genai.types.Tool(function_declarations=[declaration])],
        automatic_function_calling=genai.types.AutomaticFunctionCallingConfig(disable=True),
    )
    ask = {"model": "gemini-2.5-flash", "contents": "hi", "config": config}
    assert client.models.generate_content(**ask).text == "I heard: hi"
    chunks = list(client.models.generate_content_stream(**ask))
    assert "".join(chunk.text or "" for chunk in chunks) == "I heard: hi"
    assert chunks[-1].usage_metadata.candidates_token_count
    try:
        thinking = genai.types.ThinkingConfig(thinking_budget=0)
        config = genai.types.GenerateContentConfig(thinking_config=thinking)
        client.models.generate_content(model="gemini-2.5-pro", contents="hi", config=config)
    except genai.errors.ClientError as refused:
        assert refused.code == 400 and "thinking mode" in refused.message
    else:
        raise AssertionError("this model can't be kept from thinking")


def interactions():
    client = genai.Client(api_key="x", http_options=genai.types.HttpOptions(base_url=HTTP))
    tool = {"type": "function", "name": "f", "description": "d", "parameters": TOOLS}
    ask = {"model": "gemini-3.8-flash", "input": "hi", "tools": [tool], "store": False}
    events = list(client.interactions.create(stream=True, generation_config={"thinking_level": "low"}, **ask))
    said = [event.delta.text for event in events if event.event_type == "step.delta" and event.delta.type == "text"]
    assert "".join(said) == "I heard: hi", events
    assert events[-1].event_type == "interaction.completed" and events[-1].interaction.status == "completed"
    whole = client.interactions.create(**ask)
    assert whole.steps[-1].content[0].text == "I heard: hi", whole


def gemini_live():
    client = genai.Client(api_key="x", http_options=genai.types.HttpOptions(base_url=HTTP))
    # Its sockets are TLS, always; the double's are not.
    client._api_client._websocket_base_url = lambda *_, **__: WS
    client._api_client._websocket_ssl_ctx = {}
    config = {
        "response_modalities": ["AUDIO"],
        "realtime_input_config": {"automatic_activity_detection": {"disabled": True}},
        "input_audio_transcription": {},
        "output_audio_transcription": {},
    }

    async def talk():
        async with client.aio.live.connect(model="gemini-3.8-live", config=config) as session:
            turn = {"role": "user", "parts": [{"text": "hi"}]}
            await session.send_client_content(turns=[turn], turn_complete=True)
            words, sound = "", 0
            async for message in session.receive():
                content = message.server_content
                words += content.output_transcription.text if content and content.output_transcription else ""
                sound += len(message.data or b"")
            assert words.strip() == "I heard: hi" and sound > 10_000, (words, sound)
            await session.send_realtime_input(activity_start={})
            linear = genai.types.Blob(data=LINEAR, mime_type="audio/pcm;rate=8000")
            await session.send_realtime_input(audio=linear)
            await session.send_realtime_input(activity_end={})
            said = ""
            async for message in session.receive():
                content = message.server_content
                said += content.input_transcription.text if content and content.input_transcription else ""
            assert said, "the caller was not understood"

    asyncio.run(talk())


def cohere_chat():
    client = cohere.ClientV2(api_key="x", base_url=HTTP)
    ask = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "hi"}]}
    assert client.chat(**ask).message.content[0].text == "I heard: hi"
    events = list(client.chat_stream(**ask))
    said = [event.delta.message.content.text for event in events if event.type == "content-delta"]
    assert "".join(said) == "I heard: hi" and events[-1].type == "message-end"


def mistral():
    client = Mistral(api_key="x", server_url=HTTP)
    ask = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "hi"}]}
    assert client.chat.complete(**ask).choices[0].message.content == "I heard: hi"
    said = [event.data.choices[0].delta.content for event in client.chat.stream(**ask) if event.data.choices]
    assert "".join(text for text in said if text) == "I heard: hi"


def openai_sound():
    client = openai.OpenAI(base_url=HTTP + "/v1", api_key="x", max_retries=0)
    speak = client.audio.speech.with_streaming_response.create
    with speak(model="m", voice="alloy", input="Hello there.", response_format="pcm") as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()) > 20_000
    hear = client.audio.transcriptions.create
    sound = ("a.wav", WAV, "audio/wav")
    assert hear(model="m", file=sound, response_format="verbose_json").segments
    kinds = [event.type for event in hear(model="gpt-transcribe", file=sound, stream=True)]
    assert kinds[-1] == "transcript.text.done", kinds


def realtime():
    client = openai.OpenAI(base_url=HTTP + "/v1", api_key="x", max_retries=0)
    event = TypeAdapter(RealtimeServerEvent)
    ulaw = {"type": "audio/pcmu"}
    hears = {"format": ulaw, "turn_detection": None, "transcription": {"model": "gpt-transcribe"}}
    audio = {"input": hears, "output": {"format": ulaw, "voice": "marin"}}
    with client.realtime.connect(model="gpt-realtime-2.1") as session:
        session.session.update(session={"type": "realtime", "instructions": "x", "audio": audio})
        session.input_audio_buffer.append(audio=base64.b64encode(MULAW).decode())
        session.input_audio_buffer.commit()
        session.response.create()
        ends = {"response.done", "conversation.item.input_audio_transcription.completed"}
        while ends:
            message = json.loads(session.recv_bytes())
            assert message["type"] != "error", message
            event.validate_python(message)
            ends.discard(message["type"])


def messages():
    client = anthropic.Anthropic(base_url=HTTP, api_key="x", max_retries=0)
    ask = {"model": "double", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    tools = [{"name": "f", "description": "d", "input_schema": TOOLS}]
    with client.messages.stream(**ask, tools=tools) as stream:
        assert {"content_block_delta", "message_stop"} <= {event.type for event in stream}
        assert stream.get_final_message().stop_reason == "end_turn"
    assert client.messages.create(**ask).content[0].text


def deepgram_client():
    place = DeepgramClientEnvironment(base=HTTP, production=WS, agent=WS, agent_rest=HTTP)
    return DeepgramClient(api_key="x", environment=place)


def deepgram_nova():
    def say(socket):
        for piece in pieces(320):
            socket.send(piece)
        socket.send('{"type":"Finalize"}')
        socket.send('{"type":"CloseStream"}')

    query = "model=nova-3&encoding=mulaw&sample_rate=8000&interim_results=true&vad_events=true&utterance_end_ms=1000"
    heard = exchange(f"/v1/listen?{query}", {"Authorization": "Token x"}, say)
    types = {
        "Results": nova.ListenV1Results,
        "Metadata": nova.ListenV1Metadata,
        "UtteranceEnd": nova.ListenV1UtteranceEnd,
        "SpeechStarted": nova.ListenV1SpeechStarted,
    }
    counts = typed(heard, types)
    assert counts["Results"] > 2 and counts["Metadata"] == 1, counts


def deepgram_flux():
    def say(socket):
        socket.send(json.dumps({"type": "Configure", "keyterms": ["a"], "thresholds": {"eot_threshold": 0.7}}))
        for piece in pieces(640):
            socket.send(piece)
        socket.send('{"type":"ForceEndTurn"}')
        socket.send('{"type":"CloseStream"}')

    query = "model=flux-general-en&encoding=mulaw&sample_rate=8000&eager_eot_threshold=0.5"
    heard = exchange(f"/v2/listen?{query}", {"Authorization": "Token x"}, say)
    types = {
        "Connected": flux.ListenV2Connected,
        "TurnInfo": flux.ListenV2TurnInfo,
        "ConfigureSuccess": flux.ListenV2ConfigureSuccess,
        "Warning": flux.ListenV2Warning,
    }
    counts = typed(heard, types)
    assert {"StartOfTurn", "Update", "EagerEndOfTurn", "EndOfTurn", "ConfigureSuccess", "Warning"} <= set(counts), counts


def deepgram_aura():
    client = deepgram_client()
    heard = []
    with client.speak.v1.connect(model="aura-2-thalia-en", encoding="mulaw", sample_rate=8000) as socket:
        socket.on(EventType.MESSAGE, heard.append)
        listener = threading.Thread(target=socket.start_listening)
        listener.start()
        socket.send_text(SpeakV1Text(type="Speak", text="Hello there."))
        socket.send_flush()
        time.sleep(0.3)
        socket.send_clear()
        socket.send_close()
        listener.join(10)
    assert sum(len(piece) for piece in heard if isinstance(piece, bytes)) > 4_000
    form = {"encoding": "mulaw", "container": "none", "sample_rate": 8000}
    assert b"".join(client.speak.v1.audio.generate(text="Hello.", model="aura-2-thalia-en", **form))


def assemblyai_streaming():
    # The client knows encrypted sockets alone.
    over = assemblyai_client.websocket_connect
    assemblyai_client.websocket_connect = lambda uri, **more: over(uri.replace("wss://", "ws://"), **more)
    host = HTTP.removeprefix("http://")
    client = assemblyai.RealTimeTranscriber(assemblyai.RealTimeTranscriberOptions(api_host=host, api_key="x"))
    heard = []
    for event in assemblyai.RealTimeEvents:
        client.on(event, lambda _, event: heard.append(event))
    model = "universal-streaming-english"
    client.connect(
        assemblyai.RealTimeParameters(sample_rate=8000, encoding="pcm_mulaw", speech_model=model, format_turns=True)
    )
    client.stream(pieces(480))
    client.force_endpoint()
    client.keep_alive()
    client.disconnect(terminate=True)
    turns = [event for event in heard if type(event).__name__ == "TurnEvent" and event.end_of_turn]
    assert [turn.turn_is_formatted for turn in turns] == [False, True], heard
    assert type(heard[-1]).__name__ == "TerminationEvent", heard


def elevenlabs():
    client = ElevenLabs(api_key="x", base_url=HTTP)
    client.text_to_speech._ws_base_url = WS  # else `wss`
    voice = {"voice_id": "v", "model_id": "eleven_flash_v2_5", "output_format": "ulaw_8000"}
    text = iter(["Hello there, ", "this is a test. "])
    spoken = client.text_to_speech.convert_realtime(text=text, voice_settings=VoiceSettings(stability=0.5), **voice)
    assert sum(len(piece) for piece in spoken) > 8_000
    assert b"".join(client.text_to_speech.stream(text="Hello.", **voice))
    timed = list(client.text_to_speech.stream_with_timestamps(text="Hello.", **voice))
    assert timed[0].alignment.characters

    def say(socket):
        for message in [{"text": " "}, {"text": "Hello there. ", "flush": True}, {"close_context": True}]:
            socket.send(json.dumps({"context_id": "a", **message}))
        time.sleep(0.5)
        socket.send(json.dumps({"close_socket": True}))

    query = "model_id=eleven_flash_v2_5&output_format=ulaw_8000&sync_alignment=true"
    heard = exchange(f"/v1/text-to-speech/v/multi-stream-input?{query}", {"xi-api-key": "x"}, say)
    read = [type(TypeAdapter(ReceiveMessageMulti).validate_json(message)).__name__ for message in heard]
    assert read[0] == "AudioOutputMulti" and read[-1] == "FinalOutputMulti", read


def cartesia():
    client = Cartesia(api_key="x", base_url=HTTP, websocket_base_url=WS, max_retries=0)
    form = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
    with client.tts.websocket_connect() as socket:
        voice = {"mode": "id", "id": "v"}
        context = socket.context(model_id="sonic-3.5", voice=voice, output_format=form, add_timestamps=True)
        context.push("Hello there. ")
        context.push("How are you?")
        context.no_more_inputs()
        kinds = [answer.type for answer in context.receive()]
    assert "timestamps" in kinds and "chunk" in kinds and kinds[-1] == "done", kinds


CHECKS = [
    chat,
    responses,
    gemini,
    gemini_live,
    interactions,
    cohere_chat,
    mistral,
    openai_sound,
    realtime,
    messages,
    deepgram_nova,
    deepgram_flux,
    deepgram_aura,
    assemblyai_streaming,
    elevenlabs,
    cartesia,
]

for check in CHECKS:
    check()
    print(f"good  {check.__name__}")
