"""`train.py CLIPS FEATURES-PROGRAM OUT STEPS`: trains on CLIPS.pcm and CLIPS.labels, writes OUT.bin and OUT.npz."""

import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import net

FRAMES = 500
BATCH = 64
# What the network calls even chances is less: so sure of what it trained on, it is too sure of noises that are new to it.
# By this much, the logit of 0.7, all its probabilities are moved down; then 0.5 is the threshold that does best on them.
CAUTION = 0.847


def main():
    clips, program, out, steps = sys.argv[1:5]
    steps = int(steps)
    with open(clips + ".pcm", "rb") as pcm, open(clips + ".features", "wb") as features:
        subprocess.run([program, str(FRAMES * 160)], stdin=pcm, stdout=features, check=True)
    x = np.memmap(clips + ".features", np.float32, "r").reshape(-1, FRAMES, net.FEATURES)
    y = np.fromfile(clips + ".labels", np.uint8).reshape(-1, FRAMES)
    print("speech", np.mean(y == 1), "clips", len(y), "features", np.abs(x[:50]).mean((0, 1)).round(2))
    p = net.fresh(jax.random.PRNGKey(0))
    schedule = optax.warmup_cosine_decay_schedule(1e-3, 6e-3, steps // 20, steps, 2e-5)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=3e-3))
    state = optimiser.init(p)

    def loss(p, x, y, key):
        # A little noise on the features, so that no single one is relied on to its last digit.
        x = x + 0.05 * jax.random.normal(key, x.shape)
        z = net.logits(p, x)
        t = jnp.where(y == 1, 0.98, 0.02)
        weight = (y < 2) * (jnp.arange(FRAMES)[:, None] > 2)
        each = optax.sigmoid_binary_cross_entropy(z, t)
        return (each * weight).sum() / weight.sum()

    @jax.jit
    def step(p, state, x, y, key):
        value, grads = jax.value_and_grad(loss)(p, x, y, key)
        updates, state = optimiser.update(grads, state, p)
        return optax.apply_updates(p, updates), state, value

    rng = np.random.default_rng(0)
    begun, mean = time.time(), 0.0
    for n in range(steps):
        pick = np.sort(rng.choice(len(y), BATCH, replace=False))
        p, state, value = step(p, state, x[pick].transpose(1, 0, 2), y[pick].T, jax.random.PRNGKey(n))
        mean = float(value) if n == 0 else 0.97 * mean + 0.03 * float(value)
        if n % 200 == 199 or n == 4:
            print(n + 1, round(mean, 4), f"{time.time() - begun:.0f} s", flush=True)
    p["bo"] = p["bo"] - CAUTION
    np.savez(out + ".npz", **{k: np.asarray(v) for k, v in p.items()})
    net.store(p, out + ".bin")


main()
