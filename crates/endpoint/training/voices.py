"""Synthesised talkers: `voices.py FOLDER` has flite and espeak-ng say sentences, and writes 8 kHz WAVs there."""

import random
import subprocess
import sys
from pathlib import Path

SENTENCES = """The birch canoe slid on the smooth planks.|Glue the sheet to the dark blue background.
These days a chicken leg is a rare dish.|Rice is often served in round bowls.|The juice of lemons makes fine punch.
I would like to book a table for four people tomorrow evening at half past seven, please.
Could you tell me whether my parcel has been sent yet?|No, that is not what I meant.|Yes.|Okay, thank you.
My number is five five five, oh one two three, extension nine.|Hmm, let me think about that for a second.
One large pepperoni pizza with extra cheese and two bottles of water.|Hold on, I have to find my glasses.
What are your opening hours on Sunday?|I have been waiting here for more than twenty minutes already.
The quick brown fox jumps over the lazy dog.|She sells sea shells by the sea shore.|Is anybody there?|Hello?
He said that the weather would get better towards the end of the week, but I am not so sure about it.
Please call me back as soon as you can.|Actually, make that three.|Sorry, could you repeat that?|Zero. Seven. Four.
A pot of tea helps to pass the evening.|The swan dive was far short of perfect.|Bring your best compass to the third class.
The beauty of the view stunned the young boy.|Two blue fish swam in the tank.|Her purse was full of useless trash.
Mend the coat before you go out.|It snowed, rained, and hailed the same morning.|Read verse out loud for pleasure.
Hoist the load to your left shoulder.|Take the winding path to reach the lake.|Note closely the size of the gas tank.
Wipe the grease off his dirty face.|The wide road shimmered in the hot sun.|Eight miles of woodland burned to waste.
""".replace("\n", "|").strip("|").split("|")

FLITE = ["slt", "rms", "awb", "kal", "kal16"]
ESPEAK = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "fr-fr", "it", "de", "es", "pt-br", "nl", "sv", "pl", "tr", "hi", "cs", "fi"]
VARIANTS = ["", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5", "+croak", "+whisper"]


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(1)
    for index in range(520):
        text = " ".join(chance.sample(SENTENCES, chance.choice([1, 1, 2, 3])))
        raw = folder / "raw.wav"
        if index % 2:
            voice = chance.choice(FLITE)
            stretch = f"duration_stretch={chance.uniform(0.8, 1.3):.2f}"
            subprocess.run(["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(raw)], check=True)
        else:
            voice = chance.choice(ESPEAK) + chance.choice(VARIANTS)
            pitch, speed = str(chance.randint(15, 85)), str(chance.randint(120, 210))
            subprocess.run(["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "-w", str(raw), text], check=True)
        out = folder / f"{index:04}-{voice.replace('+', '-')}.wav"
        subprocess.run(["sox", str(raw), "-b", "16", str(out), "rate", "8000", "norm", "-6"], check=True, stderr=subprocess.DEVNULL)
        raw.unlink()


main()
