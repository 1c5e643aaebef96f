"""The detector's network: a layer, a gated recurrent unit, one probability. Trained with jax, stored in bytes."""

import jax
import jax.numpy as jnp
import numpy as np

FEATURES, LAYER, STATE = 48, 48, 64


def fresh(key):
    k = jax.random.split(key, 4)
    normal = jax.random.normal
    return {
        "w1": normal(k[0], (FEATURES, LAYER)) / FEATURES**0.5,
        "b1": jnp.zeros(LAYER),
        "wi": normal(k[1], (LAYER, 3 * STATE)) / LAYER**0.5,
        "wh": normal(k[2], (STATE, 3 * STATE)) / STATE**0.5,
        "bi": jnp.zeros(3 * STATE).at[:STATE].set(1.0),  # remember, to begin with
        "bh": jnp.zeros(STATE),
        "wo": normal(k[3], (STATE,)) / STATE**0.5,
        "bo": jnp.zeros(()),
    }


def logits(p, x):
    """x: frames × clips × features. Gates: z (keep), r (reset), n (new); h' = z h + (1 − z) n."""
    inner = jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["wi"] + p["bi"]

    def step(h, i):
        g = h @ p["wh"]
        z = jax.nn.sigmoid(i[:, :STATE] + g[:, :STATE])
        r = jax.nn.sigmoid(i[:, STATE:2 * STATE] + g[:, STATE:2 * STATE])
        n = jnp.tanh(i[:, 2 * STATE:] + r * (g[:, 2 * STATE:] + p["bh"]))
        h = z * h + (1 - z) * n
        return h, h

    _, hs = jax.lax.scan(step, jnp.zeros((x.shape[1], STATE)), inner)
    return hs @ p["wo"] + p["bo"]


MATRICES = ["w1", "wi", "wh"]
VECTORS = ["b1", "bi", "bh", "wo", "bo"]


def quantise(p):
    """Matrices as 8-bit integers with a scale for each output; vectors as they are."""
    out = {}
    for name in MATRICES:
        w = np.asarray(p[name], np.float32)
        scale = (np.abs(w).max(axis=0) / 127).astype(np.float32) + np.float32(1e-9)
        out[name] = (np.clip(np.round(w / scale), -127, 127).astype(np.int8), scale)
    for name in VECTORS:
        out[name] = np.asarray(p[name], np.float32).reshape(-1)
    return out


def rounded(p):
    q = quantise(p)
    return {k: jnp.asarray(q[k][0] * q[k][1]) if k in MATRICES else jnp.asarray(q[k]).reshape(np.shape(p[k])) for k in p}


def store(p, path):
    q = quantise(p)
    with open(path, "wb") as out:
        for name in MATRICES:
            out.write(q[name][1].astype("<f4").tobytes())
            out.write(q[name][0].tobytes())
        for name in VECTORS:
            out.write(q[name].astype("<f4").tobytes())


def load(path):
    """What `store` wrote, as parameters for `logits`."""
    octets, at, p = open(path, "rb").read(), 0, {}
    shapes = jax.tree.map(np.shape, fresh(jax.random.PRNGKey(0)))

    def take(kind, count):
        nonlocal at
        taken = np.frombuffer(octets, kind, count, at)
        at += taken.nbytes
        return taken

    for name in MATRICES:
        scale = take("<f4", shapes[name][1])
        p[name] = jnp.asarray(take("i1", int(np.prod(shapes[name]))).reshape(shapes[name]) * scale)
    for name in VECTORS:
        p[name] = jnp.asarray(take("<f4", int(np.prod(shapes[name])))).reshape(shapes[name])
    assert at == len(octets), f"{path} is of a network with other shapes"
    return p
