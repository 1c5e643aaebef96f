"""`expect.py FEATURES-PROGRAM WEIGHTS OUT WAV…`: what the network says of recordings, a line a frame, by jax.

The crate's test `model` holds its own arithmetic to that.
"""

import subprocess
import sys

import jax
import numpy as np

import net
from wavs import FRAME, read


def main():
    program, weights, out, *recordings = sys.argv[1:]
    p = net.load(weights)
    with open(out, "w") as lines:
        for path in recordings:
            x = read(path).astype("<i2")
            x = x[: len(x) // FRAME * FRAME]
            features = subprocess.run([program, str(len(x))], input=x.tobytes(), capture_output=True, check=True).stdout
            features = np.frombuffer(features, "<f4").reshape(-1, 1, net.FEATURES)
            for probability in np.asarray(jax.nn.sigmoid(net.logits(p, features)))[:, 0]:
                lines.write(f"{probability:.7f}\n")


main()
