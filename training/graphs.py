"""Both towers as ONNX graphs, from float arrays; and the arrays back from such graphs, unpacked.

The graphs take what a program has (pixels as decoded, token numbers) and give vectors that are not
yet unit rows. Knows nothing of folders.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto, helper

from training.arrays import Arrays, Head, ImageArrays, TextArrays, Variant, head_of
from training.efficientnet_lite import Convolution, blocks, convolutions, last_block, same_padding
from training.graph_maker import GraphMaker, read_constants

PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0  # input = (pixel - 127) / 128
BERT_EPSILON = 1e-12
MASKED = -10_000.0  # added to a score: e to this is 0 in fp32
WORDS, POSITIONS = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"


def image_graph(arrays: ImageArrays, *, in_8_bits: bool = True) -> bytes:
    """An ONNX model: "pixels" uint8 (n, side, side, 3),
    RGB -> "vectors" float32 (n, columns of the head).

    :param in_8_bits: False keeps the weights in fp32, four times the size.
    """
    graph, side = GraphMaker(in_8_bits=in_8_bits), arrays.variant.side_px
    x, width = _pooled_features(graph, arrays), len(arrays.backbone["_conv_head.bias"])
    if arrays.class_table is not None:
        x = graph.add("Concat", x, _mixture(graph, x, arrays), axis=1)
        width += arrays.class_table.shape[1]
    x, width = _with_head(graph, x, arrays.head, width)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", side, side, 3])
    variant = {key: repr(getattr(arrays.variant, key)) for key in ("width", "depth", "side_px")}
    return graph.serialised(x, [pixels], (width,), variant)


def trunk_graph(arrays: ImageArrays) -> bytes:
    """An ONNX model: "pixels" as above -> "vectors" float16 (n,
    channels, side, side): what the last block takes.
    """
    graph, side = GraphMaker(), arrays.variant.side_px
    x = graph.add("Cast", _trunk(graph, arrays)[0], to=TensorProto.FLOAT16)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", side, side, 3])
    return graph.serialised(x, [pixels], map_shape(arrays), {}, TensorProto.FLOAT16)


def map_shape(arrays: ImageArrays) -> tuple[int, int, int]:
    """Channels and sides of what the last block takes of one image."""
    channels = arrays.backbone[f"{last_block(arrays.variant)[0].name}.weight"].shape[1]
    side_px = arrays.variant.side_px
    for convolution in convolutions(arrays.variant):
        side_px = math.ceil(side_px / convolution.stride)
    return channels, side_px, side_px


def text_graph(arrays: TextArrays, *, in_8_bits: bool = True, in_4_bits: bool = False) -> bytes:
    """An ONNX model: "input_ids", "attention_mask" int64 (n,
    tokens) -> "vectors" float32 (n, columns of the head).

    There may be as many tokens as there are positions; at least one of each text must be in its
    mask.

    :param in_4_bits: store the table of words and the wide layers (the two that are four times as
        wide on one side) in 4 bits in blocks of 32 columns, half the size of 8.
    """
    graph, width = GraphMaker(in_8_bits=in_8_bits), arrays.bert[WORDS].shape[1]
    x = _embedded(graph, arrays, in_4_bits)
    # (n, 1, 1, tokens)
    hidden = graph.add("Unsqueeze", "mask", graph.constant("axes.1.2", np.array([1, 2])))
    one = graph.constant("one", np.array(1, np.float32))
    hidden = graph.add(
        "Mul", graph.add("Sub", one, hidden), graph.constant("masked", np.array(MASKED, np.float32))
    )
    for index in range(arrays.layers):
        x = _bert_layer(graph, x, hidden, arrays, f"encoder.layer.{index}", in_4_bits)
    x, width = _with_head(graph, _mean(graph, x), arrays.head, width)
    names = ("input_ids", "attention_mask")
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"]) for name in names
    ]
    return graph.serialised(x, inputs, (width,), {"attention_heads": str(arrays.attention_heads)})


def read_image_graph(content: bytes) -> ImageArrays:
    """The arrays of a model that `image_graph` made;
    those that were stored in 8 bits as they are computed with.

    :raises ValueError: if it made no such model.
    """
    model, constants = _parsed(content)
    try:
        facts = {prop.key: float(prop.value) for prop in model.metadata_props}
        variant = Variant(facts["width"], facts["depth"], int(facts["side_px"]))
        backbone = {name: values for name, values in constants.items() if name.startswith("_")}
        for convolution in convolutions(variant):
            backbone[f"{convolution.name}.weight"], backbone[f"{convolution.name}.bias"]
        table, temperature = (
            constants.get("class_table"),
            constants.get("temperature", np.float32(1)),
        )
    except (KeyError, ValueError) as error:
        raise ValueError("it is not an image tower that lakesift made") from error
    table = None if table is None else np.ascontiguousarray(table.T)
    return ImageArrays(variant, backbone, table, float(temperature), head_of(constants))


def read_text_graph(content: bytes) -> TextArrays:
    """The arrays of a model that `text_graph` made;
    those that were stored in 8 or 4 bits as they are computed with.

    :raises ValueError: if it made no such model.
    """
    model, constants = _parsed(content)
    heads = {prop.key: prop.value for prop in model.metadata_props}.get("attention_heads", "")
    bert = {
        name: values
        for name, values in constants.items()
        if name.startswith(("embeddings.", "encoder."))
    }
    if not heads.isdecimal() or WORDS not in bert or POSITIONS not in bert:
        raise ValueError("it is not a text tower that lakesift made")
    return TextArrays(bert, int(heads), head_of(constants))


def _parsed(content: bytes) -> tuple[onnx.ModelProto, Arrays]:
    try:
        model = onnx.load_model_from_string(content)
        return model, read_constants(model)
    except (
        Exception
    ) as error:  # protobuf's DecodeError is no ValueError; a constant without its scale, KeyError
        raise ValueError("it is not an ONNX model that lakesift made") from error


def _with_head(graph: GraphMaker, x: str, head: Head | None, width: int) -> tuple[str, int]:
    """The vectors' name and their columns."""
    return (x, width) if head is None else (graph.head(x, head), len(head.layers[-1].bias))


def _pooled_features(graph: GraphMaker, arrays: ImageArrays) -> str:
    """(n, features)"""
    x, side_px = _trunk(graph, arrays)
    for convolution in last_block(arrays.variant):
        x, side_px = _convolve(graph, x, convolution, arrays, side_px)
    return graph.add("Flatten", graph.add("GlobalAveragePool", x))


def _trunk(graph: GraphMaker, arrays: ImageArrays) -> tuple[str, int]:
    """All before the last block; its name, (n, channels, side, side), and the side."""
    # Transposed while still bytes: a quarter of the traffic.
    x = graph.add("Cast", graph.add("Transpose", "pixels", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    x = graph.add("Sub", x, graph.constant("pixel_mean", np.array(PIXEL_MEAN, np.float32)))
    x = graph.add("Mul", x, graph.constant("pixel_scale", np.array(1 / PIXEL_SCALE, np.float32)))
    stem, *body = convolutions(arrays.variant)
    x, side_px = _convolve(graph, x, stem, arrays, arrays.variant.side_px)
    parts = iter(body)
    for block in list(blocks(arrays.variant))[:-1]:
        start = x
        for _ in range(3 if block.expands else 2):
            x, side_px = _convolve(graph, x, next(parts), arrays, side_px)
        if block.adds_input:
            x = graph.add("Add", x, start)
    return x, side_px


def _convolve(
    graph: GraphMaker, x: str, convolution: Convolution, arrays: ImageArrays, side_px: int
) -> tuple[str, int]:
    """The result's name and its side."""
    name, stride = convolution.name, convolution.stride
    kernel, bias = arrays.backbone[f"{name}.weight"], arrays.backbone[f"{name}.bias"]
    before, after = same_padding(side_px, kernel.shape[2], stride)
    x = graph.add(
        "Conv",
        x,
        graph.kernels(f"{name}.weight", kernel),
        graph.constant(f"{name}.bias", bias),
        kernel_shape=kernel.shape[2:],
        strides=[stride, stride],
        pads=[before, before, after, after],
        group=len(kernel) if name.endswith("_depthwise_conv") else 1,
    )
    if convolution.activated:
        zero, six = (
            graph.constant(word, np.array(value, np.float32))
            for word, value in (("zero", 0), ("six", 6))
        )
        x = graph.add("Clip", x, zero, six)
    return x, math.ceil(side_px / stride)


def _mixture(graph: GraphMaker, features: str, arrays: ImageArrays) -> str:
    """(n, columns of the class table): its mean row under the class probabilities."""
    assert arrays.class_table is not None
    fc = arrays.backbone["_fc.weight"], arrays.backbone["_fc.bias"]
    scores = graph.linear(features, "_fc.weight", *fc)
    temperature = graph.constant("temperature", np.array(arrays.temperature, np.float32))
    probabilities = graph.add("Softmax", graph.add("Div", scores, temperature), axis=1)
    return graph.linear(probabilities, "class_table", arrays.class_table.T, None)


def _embedded(graph: GraphMaker, arrays: TextArrays, in_4_bits: bool) -> str:
    """(n, tokens, width). Also makes "mask", the mask in fp32."""
    x = graph.look_up(WORDS, arrays.bert[WORDS], "input_ids", in_4_bits=in_4_bits)
    start, axis = (graph.constant(f"axis.{value}", np.array([value])) for value in (0, 1))
    end = graph.add(
        "Slice", graph.add("Shape", "input_ids"), axis, graph.constant("axis.2", np.array([2]))
    )
    positions = graph.weight(POSITIONS, arrays.bert[POSITIONS])
    x = graph.add("Add", x, graph.add("Slice", positions, start, end, start))
    graph.add("Cast", "attention_mask", output="mask", to=TensorProto.FLOAT)
    return _bert_norm(graph, x, arrays, "embeddings.LayerNorm")


def _bert_layer(
    graph: GraphMaker, x: str, hidden: str, arrays: TextArrays, layer: str, in_4_bits: bool
) -> str:
    """(n, tokens, width) -> the same.

    :param hidden: (n, 1, 1, tokens), added to the scores: very low where a token does not count.
    """
    width = arrays.bert[WORDS].shape[1]
    q, k, v = (_attention_part(graph, x, arrays, layer, part) for part in ("query", "key", "value"))
    size = np.array(math.sqrt(width / arrays.attention_heads), np.float32)
    scores = graph.add(
        "MatMul", q, graph.add("Transpose", k, perm=[0, 1, 3, 2])
    )  # (n, heads, tokens, tokens)
    scores = graph.add(
        "Add", graph.add("Div", scores, graph.constant("attention_scale", size)), hidden
    )
    # (n, heads, tokens, width / heads)
    seen = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), v)
    joined = graph.constant("joined_heads", np.array([0, 0, width]))
    seen = graph.add("Reshape", graph.add("Transpose", seen, perm=[0, 2, 1, 3]), joined)
    seen = _bert_linear(graph, seen, arrays, f"{layer}.attention.output.dense")
    x = _bert_norm(graph, graph.add("Add", seen, x), arrays, f"{layer}.attention.output.LayerNorm")
    wide = graph.add(
        "Gelu", _bert_linear(graph, x, arrays, f"{layer}.intermediate.dense", in_4_bits)
    )
    narrow = _bert_linear(graph, wide, arrays, f"{layer}.output.dense", in_4_bits)
    return _bert_norm(graph, graph.add("Add", narrow, x), arrays, f"{layer}.output.LayerNorm")


def _attention_part(graph: GraphMaker, x: str, arrays: TextArrays, layer: str, part: str) -> str:
    """(n, heads, tokens, width / heads)"""
    split = graph.constant("split_heads", np.array([0, 0, arrays.attention_heads, -1]))
    y = _bert_linear(graph, x, arrays, f"{layer}.attention.self.{part}")
    return graph.add("Transpose", graph.add("Reshape", y, split), perm=[0, 2, 1, 3])


def _bert_linear(
    graph: GraphMaker, x: str, arrays: TextArrays, name: str, in_4_bits: bool = False
) -> str:
    weight, bias = arrays.bert[f"{name}.weight"], arrays.bert[f"{name}.bias"]
    return graph.linear(x, f"{name}.weight", weight, bias, in_4_bits=in_4_bits)


def _bert_norm(graph: GraphMaker, x: str, arrays: TextArrays, name: str) -> str:
    return graph.norm(
        x, name, arrays.bert[f"{name}.weight"], arrays.bert[f"{name}.bias"], BERT_EPSILON
    )


def _mean(graph: GraphMaker, x: str) -> str:
    """(n, width): over the tokens that the mask has."""
    axis, last = (
        graph.constant(f"axis.{word}", np.array([value]))
        for word, value in (("1", 1), ("last", -1))
    )
    mask = graph.add("Unsqueeze", "mask", last)  # (n, tokens, 1)
    total = graph.add("ReduceSum", graph.add("Mul", x, mask), axis, keepdims=0)
    return graph.add("Div", total, graph.add("ReduceSum", mask, axis, keepdims=0))
