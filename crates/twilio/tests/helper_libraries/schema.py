"""What twilio-python's and twilio-node's `VoiceResponse` can write: elements, their attributes and children."""
import inspect
import re

from twilio.twiml.voice_response import VoiceResponse

INHERITED = ("append", "nest", "to_xml", "add_text", "add_child", "comment", "comment_before", "comment_after")


def make(node_folder):
    attributes, children, todo = {}, {}, [VoiceResponse()]
    while todo:
        element = todo.pop()
        if element.name in children:
            continue
        own = children.setdefault(element.name, set())
        for name, method in inspect.getmembers(type(element), inspect.isfunction):
            if name.startswith("_") or name not in type(element).__dict__ or name in INHERITED:
                continue
            named = inspect.signature(method).parameters.values()
            given = {one.name: "x" for one in named if one.name != "self" and one.kind != one.VAR_KEYWORD}
            child = getattr(element, name)(**given)
            own.add(child.name)
            attributes.setdefault(child.name, set()).update(child.attrs)
            todo.append(child)
    # twilio-node tells its attributes in its types only; those of other spelling are its own mistakes.
    types = open(f"{node_folder}/node_modules/twilio/lib/twiml/VoiceResponse.d.ts").read()
    for found in re.finditer(r"interface (\w+)Attributes \{(.*?)\n    \}", types, re.S):
        if found[1] in children:
            known = {name.lower() for name in attributes.get(found[1], ())}
            named = re.findall(r'^\s+"?([\w-]+)"?\?:', found[2], re.M)
            attributes.setdefault(found[1], set()).update(name for name in named if name.lower() not in known)
    return {name: {"attributes": sorted(attributes.get(name, ())), "children": sorted(children[name])}
            for name in sorted(children)}
