#!/usr/bin/env python3
"""Asks Twilio's own helper libraries what they sign, write and know, for the tests beside.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install twilio && npm install --prefix /tmp/node twilio
    /tmp/venv/bin/python make.py /tmp/node
"""
import json
import pathlib
import sys

import twilio

import documents
import rest_requests
import schema
import signatures

node_folder = sys.argv[1]
node = json.load(open(f"{node_folder}/node_modules/twilio/package.json"))["version"]
here = pathlib.Path(__file__).parent
made_by = f"twilio-python {twilio.__version__}, twilio-node {node}"
for name, module in [("signatures", signatures), ("documents", documents), ("schema", schema),
                     ("rest_requests", rest_requests)]:
    made = module.make(node_folder)
    # An entry a line.
    if isinstance(made, list):
        lines, (begin, end) = [json.dumps(one, ensure_ascii=False) for one in made], "[]"
    else:
        lines, (begin, end) = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in made.items()], "{}"
    text = f'{{\n"made_by": {json.dumps(made_by)},\n"{name}": {begin}\n' + ",\n".join(lines) + f"\n{end}\n}}\n"
    (here / f"{name}.json").write_text(text)
