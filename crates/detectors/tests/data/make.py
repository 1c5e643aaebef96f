"""`tiny.onnx`: a network with Silero's inputs and outputs and no sense: the louder, the more it takes for speech."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np

constant = lambda name, value: numpy_helper.from_array(np.array(value, np.float32), name)
graph = helper.make_graph(
    [
        helper.make_node("Abs", ["input"], ["loudness"]),
        helper.make_node("ReduceMean", ["loudness"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["output"]),
        # A memory that shows: it counts windows.
        helper.make_node("Add", ["state", "one"], ["stateN"]),
    ],
    "tiny",
    [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, "samples"]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, 1, 128]),
        helper.make_tensor_value_info("sr", TensorProto.INT64, []),
    ],
    [
        helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1]),
        helper.make_tensor_value_info("stateN", TensorProto.FLOAT, [2, 1, 128]),
    ],
    [constant("gain", 100.0), constant("bias", -3.0), constant("one", 1.0)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, Path(__file__).parent / "tiny.onnx")
