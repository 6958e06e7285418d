"""Makes ONNX graphs operator by operator, their constants in 8 bits. Knows nothing of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from training.arrays import Arrays, Floats, Head
from training.quantised import BLOCK, Quantised, packed, to_4_bits, to_8_bits, unpacked

OPSET = 21  # the first with 4-bit integers
IR_VERSION = 10  # the first for opset 21, so that every ONNX Runtime we allow reads it
OUTPUT = "vectors"
NORM_EPSILON = 1e-5
FEW_WEIGHTS = 16_384


class GraphMaker:
    """A graph in the making. A constant named N is stored as "N",
    "N.half", or "N.int8" or "N.int4" with "N.scale".
    """

    def __init__(self, *, in_8_bits: bool = True) -> None:
        """:param in_8_bits: False keeps all weights in fp32."""
        self.in_8_bits = in_8_bits
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(
        self, operator: str, *inputs: str, output: str = "", domain: str = "", **attributes: object
    ) -> str:
        """An operator's first output's name."""
        output = output or f"t{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [output], domain=domain)
        node.attribute.extend(
            helper.make_attribute(name, value) for name, value in attributes.items()
        )
        self.nodes.append(node)
        return output

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """As it is, in its own type; one of an own name, or the same again."""
        if all(constant.name != name for constant in self.constants):
            self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def weight(self, name: str, values: Floats, *, in_4_bits: bool = False) -> str:
        """A matrix (out, in), or kernels (out, ...):
        8 bits and a scale an output channel, unpacked at load.

        :param in_4_bits: a matrix in 4 bits, in blocks of its columns, instead.
        """
        if not self.in_8_bits:
            return self.constant(name, values)
        if in_4_bits:
            integers, scales = self._stored_4(name, to_4_bits(values))
            return self.add("DequantizeLinear", integers, scales, axis=1, block_size=BLOCK)
        quantised = to_8_bits(values)
        integers, scales = self._stored_8(name, quantised)
        return self.add("DequantizeLinear", integers, scales, axis=0)

    def kernels(self, name: str, values: Floats) -> str:
        """Of a convolution, (out, in / groups, kernel, kernel):
        as `weight`, but where it hurts and saves little, fp16.

        Pretrained Lite2, 48 photos, cosine of the features to fp32's in the mean (least), centred:
        all in 8 bits 0.991 (0.961); depthwise kernels, stem and blocks 0 to 4 left out 0.9986
        (0.9975), for 0.3 MB more.
        """
        if not self.in_8_bits or (values.shape[1] > 1 and values.size >= FEW_WEIGHTS):
            return self.weight(name, values)
        half = self.constant(f"{name}.half", values.astype(np.float16))
        return self.add("Cast", half, to=TensorProto.FLOAT)

    def linear(
        self, x: str, name: str, weight: Floats, bias: Floats | None, *, in_4_bits: bool = False
    ) -> str:
        """weight @ x + bias on the last axis of x, which may have any number of axes."""
        stored = self.weight(name, weight, in_4_bits=in_4_bits)
        transposed = self.add("Transpose", stored, perm=[1, 0])  # folded away at load
        y = self.add("MatMul", x, transposed)
        return y if bias is None else self.add("Add", y, self.constant(_bias_of(name), bias))

    def norm(self, x: str, name: str, weight: Floats, bias: Floats, epsilon: float) -> str:
        """Layer normalisation over the last axis."""
        scale, shift = self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        return self.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)

    def look_up(self, name: str, table: Floats, ids: str, *, in_4_bits: bool = False) -> str:
        """The rows of a table, 8 bits and a scale a row,
        or 4 bits in blocks; only those rows are unpacked.
        """
        if not self.in_8_bits:
            return self.add("Gather", self.constant(name, table), ids, axis=0)
        if in_4_bits:
            return self._look_up_4_bits(name, to_4_bits(table), ids)
        quantised = to_8_bits(table)
        integers, scales = self._stored_8(
            name, Quantised(quantised.integers, quantised.scales[:, None])
        )
        rows = self.add("Cast", self.add("Gather", integers, ids, axis=0), to=TensorProto.FLOAT)
        return self.add("Mul", rows, self.add("Gather", scales, ids, axis=0))

    def head(self, x: str, head: Head) -> str:
        """A head's layers, with its normalisation before and its skip beside them."""
        if head.norm is not None:
            x = self.norm(x, "head.norm", head.norm.weight, head.norm.bias, NORM_EPSILON)
        y = x
        for index, layer in enumerate(head.layers):
            y = self.add("Gelu", y) if index else y
            y = self.linear(y, f"head.layers.{index}.weight", layer.weight, layer.bias)
        return (
            y
            if head.skip is None
            else self.add("Add", y, self.linear(x, "head.skip", head.skip, None))
        )

    def serialised(
        self,
        vectors: str,
        inputs: Sequence[ValueInfoProto],
        shape: tuple[int, ...],
        facts: Mapping[str, str],
        kind: TensorProto.DataType = TensorProto.FLOAT,
    ) -> bytes:
        """The whole model, checked.

        :param vectors: the name of the result.
        :param shape: of the result, without its first axis, which is that of the inputs.
        :param facts: kept beside the graph, for those who read the arrays back.
        """
        self.add("Identity", vectors, output=OUTPUT)
        result = helper.make_tensor_value_info(OUTPUT, kind, ["n", *shape])
        graph = helper.make_graph(self.nodes, "tower", list(inputs), [result], self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lakesift"
        )
        helper.set_model_props(model, dict(facts))
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))

    def _stored_8(self, name: str, quantised: Quantised) -> tuple[str, str]:
        integers = self.constant(f"{name}.int8", quantised.integers)
        return integers, self.constant(f"{name}.scale", quantised.scales)

    def _stored_4(self, name: str, quantised: Quantised) -> tuple[str, str]:
        shape, content = quantised.integers.shape, packed(quantised.integers)
        tensor = helper.make_tensor(f"{name}.int4", TensorProto.INT4, shape, content, raw=True)
        self.constants.append(tensor)
        halves = self.constant(f"{name}.scale", quantised.scales.astype(np.float16))
        return tensor.name, self.add(
            "Cast", halves, to=TensorProto.FLOAT
        )  # products in fp16 would be rounded

    def _look_up_4_bits(self, name: str, quantised: Quantised, ids: str) -> str:
        integers, scales = self._stored_4(name, quantised)
        # ONNX has no Gather of 4 bits; this operator of ONNX Runtime's own is in every build for
        # processors.
        return self.add(
            "GatherBlockQuantized",
            integers,
            ids,
            scales,
            domain="com.microsoft",
            gather_axis=0,
            quantize_axis=1,
            block_size=BLOCK,
        )


def read_constants(model: ModelProto) -> Arrays:
    """All float constants by their own names, those in 8 and 4 bits unpacked."""
    stored = {constant.name: constant for constant in model.graph.initializer}
    arrays: Arrays = {}
    for name, constant in stored.items():
        own, _, kind = name.rpartition(".")
        if kind in ("int8", "int4"):
            scales = numpy_helper.to_array(stored[f"{own}.scale"]).astype(np.float32)
            arrays[own] = Quantised(
                _integers(constant), scales[:, 0] if scales.shape[1:] == (1,) else scales
            ).values()
        elif kind == "half":
            arrays[own] = numpy_helper.to_array(constant).astype(np.float32)
        elif kind != "scale" and constant.data_type == TensorProto.FLOAT:
            arrays[name] = numpy_helper.to_array(constant).copy()
    return arrays


def _integers(constant: TensorProto) -> NDArray[np.int8]:
    if constant.data_type == TensorProto.INT4:
        return unpacked(constant.raw_data).reshape(constant.dims)
    return np.asarray(numpy_helper.to_array(constant), np.int8)


def _bias_of(weight: str) -> str:
    return f"{weight.removesuffix('.weight')}.bias"
