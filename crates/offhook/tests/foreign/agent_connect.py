"""A server by Twilio's own Agent Connect (`pip install "twilio-agent-connect[server]"`), in its mode without Conversation
Orchestrator. Nothing in it knows of Offhook.

Run by the tests of this folder: agent_connect.py AUTH_TOKEN PORT. Prints what it was told, a line each.
"""
import os
import socket
import sys

os.environ["TAC_ANALYTICS_DISABLED"] = "true"

import uvicorn  # noqa: E402
from tac import TAC, TACConfig  # noqa: E402
from tac.channels.voice import VoiceChannel  # noqa: E402
from tac.channels.voice.conversation_relay.config import ConversationRelayProviderConfig  # noqa: E402
from tac.models.voice import VoiceTwiMLOptionsConversationRelay  # noqa: E402
from tac.server import TACFastAPIServer  # noqa: E402


def say(*words):
    print(*words, flush=True)


listener = socket.socket()
listener.bind(("127.0.0.1", int(sys.argv[2])))
here = f"127.0.0.1:{listener.getsockname()[1]}"
tac = TAC(
    config=TACConfig(
        account_sid="AC00000000000000000000000000000000",
        auth_token=sys.argv[1],
        api_key="SK00000000000000000000000000000001",
        api_secret="secret",
        phone_number="+14155550101",
        voice_public_domain=here,
        log_level="WARNING",
    )
)
# Its addresses are https and wss by themselves, which this machine has no certificate for.
options = VoiceTwiMLOptionsConversationRelay(
    websocket_url=f"ws://{here}/ws",
    action_url=f"http://{here}/conversation-relay-callback",
    welcome_greeting="Hello, this is Agent Connect.",
)
voice = VoiceChannel(tac, config=ConversationRelayProviderConfig(default_twiml_options=options))


async def ready(message, context, memory):
    say("heard", message)
    if "stop" in message.lower():
        return "I have stopped."
    return (
        "One is the first number that there is. Two is what comes after the first of them. Three is what comes after these "
        "two numbers. Four is what comes after three of them. Five is the last one."
    )


async def interrupted(*told):
    say("interrupted", *(getattr(one, "utterance_until_interrupt", "") or "" for one in told))


tac.on_message_ready(ready)
if hasattr(tac, "on_interrupt"):
    tac.on_interrupt(interrupted)
server = TACFastAPIServer(tac=tac, voice_channel=voice)
say(f"listening on http://{here}/twiml")
uvicorn.Server(uvicorn.Config(server.app, log_level="error")).run(sockets=[listener])
