"""The towers as ONNX graphs."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from lite_lib.copies import SIZE
from lite_lib.heads import DIM, LAYOUT, LOOKS, Head
from lite_lib.hubness import SCALE, WEIGHT, Bank
from lite_lib.layout import FAINT, LUMA, THUMB, waves
from lite_lib.towers import Convolution, ImageTower, Layer, TextTower

Array = npt.NDArray[np.float32]


class Graph:
    """Nodes and weights of one ONNX graph; every method returns the name of the value it adds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        names = [f"{kind.lower()}_{len(self.nodes)}" + (f"_{k}" if outputs > 1 else "") for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return " ".join(names)

    def const(self, array: npt.ArrayLike, dtype: type = np.float32) -> str:
        name = f"w_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype), name))
        return name

    def half(self, array: npt.ArrayLike) -> str:
        """A weight stored in 16 bits and used in 32: ONNX Runtime folds the Cast when it loads the graph."""
        return self.op("Cast", self.const(array, np.float16), to=TensorProto.FLOAT)

    def save(self, path: Path, feed: onnx.ValueInfoProto, results: dict[str, tuple[str, list[int | str]]]) -> None:
        """results: output name -> (value, shape)."""
        outputs = []
        for name, (value, shape) in results.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        graph = helper.make_graph(self.nodes, self.name, [feed], outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))


PIXELS = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["b", SIZE, SIZE, 3])
IDS = helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", "L"])


PSI = math.atan(0.5)  # of texts: the smaller, the wider theta has to turn, and with it images from each other
MOST_SINE = 0.5  # of theta


@dataclass(frozen=True)
class Geometry:
    """How vectors are put together: an image's is [cos(phi) v, sin(phi) cos(theta), sin(phi) sin(theta)] with
    v = [sqrt(1 - looks - layout) meaning, sqrt(looks) looks, sqrt(layout) layout], a text's [cos(PSI) t, 0, sin(PSI)].

    looks, layout: their shares of a cosine between images. phi: where theta is the same, as in copies, a cosine c of
    such v becomes (c + b) / (1 + b), b = tan(phi)^2. theta, of each image: its hubness, which is so taken off its
    cosine with any text.
    """

    looks: float
    layout: float
    phi: float

    @property
    def turn(self) -> float:
        """sin(theta) for each unit of hubness below the usual: by it, a cosine with a text is a multiple of
        t meaning - WEIGHT hubness, and a constant."""
        return WEIGHT * self.lengths[0] / (math.tan(self.phi) * math.tan(PSI))

    def completed(self, v: Array, above: Array) -> Array:
        """v (n, DIM - 2), above (n,): their hubness less the usual one -> image vectors (n, DIM)."""
        sine = np.clip(-self.turn * above, -MOST_SINE, MOST_SINE)[:, None]
        parts = math.cos(self.phi) * v, math.sin(self.phi) * np.sqrt(1 - sine**2), math.sin(self.phi) * sine
        return np.concatenate(parts, axis=1).astype(np.float32)

    @property
    def lengths(self) -> tuple[float, float, float]:
        """Of meaning, looks and layout within v."""
        return math.sqrt(1 - self.looks - self.layout), math.sqrt(self.looks), math.sqrt(self.layout)


class ImageGraph(Graph):
    """`pixels` uint8 (b, 224, 224, 3) through EfficientNet-Lite."""

    def __init__(self, name: str, tower: ImageTower) -> None:
        super().__init__(name)
        self.tower, self.side = tower, SIZE
        self.pooled: list[str] = []
        self.zero, self.six = self.const(0.0), self.const(6.0)

    def convolution(self, x: str, layer: Convolution) -> str:
        before, after = layer.pads(self.side)
        self.side = -(-self.side // layer.stride[0])
        kernel, bias = self.half(layer.weight.detach().numpy()), self.const(layer.bias.detach().numpy())
        pads, strides = [before, before, after, after], list(layer.stride)
        x = self.op("Conv", x, kernel, bias, strides=strides, pads=pads, group=layer.groups)
        return self.op("Clip", x, self.zero, self.six) if layer.clip else x

    def pixels(self) -> str:
        """The picture (b, 3, 224, 224), from -1 to 1."""
        x = self.op("Cast", self.op("Transpose", "pixels", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
        return self.op("Sub", self.op("Div", x, self.const(127.5)), self.const(1.0))

    def layout(self, x: str) -> str:
        """Where the picture x is light and dark (b, LAYOUT), at most 1 long."""
        gray = self.op("Conv", x, self.const(np.reshape(LUMA, (1, 3, 1, 1))))
        cell = [SIZE // THUMB] * 2
        thumb = self.op("AveragePool", gray, kernel_shape=cell, strides=cell)
        found = self.op("Flatten", self.op("Conv", thumb, self.const(waves()[:, None])))
        square = self.op("ReduceSumSquare", found, axes=[1], keepdims=1)
        return self.op("Div", found, self.op("Sqrt", self.op("Add", square, self.const(FAINT**2))))

    def bottom(self, x: str) -> str:
        """What the frozen blocks make of the picture x (b, c, h, w)."""
        return self.through(self.convolution(x, self.tower.stem), 0, self.tower.cut)

    def features(self, x: str) -> str:
        """The tower's features of the picture x (b, c, 1, 1)."""
        x = self.through(self.bottom(x), self.tower.cut, len(self.tower.blocks))
        x = self.convolution(x, self.tower.last)
        return self.op("Concat", self.op("GlobalAveragePool", x), *self.pooled, axis=1)

    def through(self, x: str, first: int, end: int) -> str:
        """x through the blocks first .. end - 1."""
        for number in range(first, end):
            block, before = self.tower.blocks[number], x
            for layer in block.layers:
                x = self.convolution(x, layer)
            x = self.op("Add", x, before) if block.skip else x
            if number in self.tower.ends:
                self.pooled.append(self.op("GlobalAveragePool", x))
        return x

    def sine(self, meaning: str, geometry: Geometry, bank: Bank) -> str:
        """Of theta (b, 1), from the meaning (b, 384)."""
        x = self.op("Unsqueeze", self.op("Mul", meaning, self.const(SCALE)), self.const([2, 3], np.int64))
        centres, shares = self.half(bank.centres[:, :, None, None]), self.const(np.log(bank.shares))
        found = self.op("ReduceLogSumExp", self.op("Flatten", self.op("Conv", x, centres, shares)), axes=[1])
        below = self.op("Sub", self.const(SCALE * bank.usual), found)
        turned = self.op("Mul", below, self.const(geometry.turn / SCALE))
        return self.op("Clip", turned, self.const(-MOST_SINE), self.const(MOST_SINE))


def save_bottom(path: Path, tower: ImageTower) -> None:
    """The frozen part of the tower: outputs "map" (b, c, h, w), "means" (b, m) and "layout" (b, LAYOUT)."""
    graph = ImageGraph("bottom", tower)
    pixels = graph.pixels()
    x = graph.bottom(pixels)
    means = graph.op("Flatten", graph.op("Concat", *graph.pooled, axis=1))
    results: dict[str, tuple[str, list[int | str]]] = {
        "map": (x, ["b", "c", "h", "w"]),
        "means": (means, ["b", "m"]),
        "layout": (graph.layout(pixels), ["b", LAYOUT]),
    }
    graph.save(path, PIXELS, results)


def save_image(path: Path, tower: ImageTower, meaning: Head, looks: Head, geometry: Geometry, bank: Bank) -> None:
    """image.onnx. The heads are 1 x 1 convolutions on (b, c, 1, 1), which ONNX Runtime runs image by image, so that a
    vector is the same bit for bit in any batch; a matrix product over the batch would not be."""
    graph = ImageGraph("image", tower)
    pixels = graph.pixels()
    features = graph.features(pixels)

    def applied(head: Head) -> str:
        first, bias, down, shift = head.matrices()
        both = graph.op("Conv", features, graph.half(first[:, :, None, None]), graph.const(bias))
        linear, hidden = graph.op("Split", both, graph.const(_widths(head), np.int64), outputs=2, axis=1).split()
        hidden = graph.op("Conv", graph.op("Relu", hidden), graph.half(down[:, :, None, None]), graph.const(shift))
        return graph.op("LpNormalization", graph.op("Flatten", graph.op("Add", linear, hidden)), axis=1, p=2)

    meant = applied(meaning)
    parts = zip((meant, applied(looks), graph.layout(pixels)), geometry.lengths, strict=True)
    vector = graph.op("Concat", *(graph.op("Mul", part, graph.const(length)) for part, length in parts), axis=1)
    vector = graph.op("LpNormalization", vector, axis=1, p=2)  # the layout of a faint image is short
    vector = graph.op("Mul", vector, graph.const(math.cos(geometry.phi)))
    sine = graph.sine(meant, geometry, bank)
    cosine = graph.op("Sqrt", graph.op("Sub", graph.const(1.0), graph.op("Mul", sine, sine)))
    ends = (graph.op("Mul", part, graph.const(math.sin(geometry.phi))) for part in (cosine, sine))
    vector = graph.op("Concat", vector, *ends, axis=1)
    graph.save(path, PIXELS, {"embedding": (vector, ["b", DIM])})


def save_text(path: Path, tower: TextTower, head: Head) -> None:
    """text.onnx."""
    graph = TextGraph("text")
    features = graph.features(tower)
    first, bias, down, shift = head.matrices()
    both = graph.op("Add", graph.op("MatMul", features, graph.half(first.T)), graph.const(bias))
    linear, hidden = graph.op("Split", both, graph.const(_widths(head), np.int64), outputs=2, axis=1).split()
    hidden = graph.op("Add", graph.op("MatMul", graph.op("Relu", hidden), graph.half(down.T)), graph.const(shift))
    unit = graph.op("LpNormalization", graph.op("Add", linear, hidden), axis=1, p=2)
    zeros = graph.const([0, 0, 0, LOOKS + LAYOUT + 1], np.int64)
    vector = graph.op("Pad", graph.op("Mul", unit, graph.const(math.cos(PSI))), zeros, graph.const(0.0))
    vector = graph.op("Pad", vector, graph.const([0, 0, 0, 1], np.int64), graph.const(math.sin(PSI)))
    graph.save(path, IDS, {"embedding": (vector, ["b", DIM])})


def _widths(head: Head) -> list[int]:
    return [head.linear.out_features, head.up.out_features]


class TextGraph(Graph):
    """`ids` int64 (b, L) through MiniLM, over the ids that are not padding (0)."""

    def dense(self, x: str, layer: nn.Linear) -> str:
        product = self.op("MatMul", x, self.half(layer.weight.detach().numpy().T))
        return self.op("Add", product, self.const(layer.bias.detach().numpy()))

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        scale, shift = (self.const(p.detach().numpy()) for p in (layer.weight, layer.bias))
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=layer.eps)

    def heads(self, x: str, order: list[int]) -> str:
        return self.op("Transpose", self.op("Reshape", x, self.const([0, 0, 12, 32], np.int64)), perm=order)

    def attended(self, x: str, layer: Layer, barred: str) -> str:
        query = self.heads(self.dense(x, layer.query), [0, 2, 1, 3])
        key = self.heads(self.dense(x, layer.key), [0, 2, 3, 1])
        value = self.heads(self.dense(x, layer.value), [0, 2, 1, 3])
        scores = self.op("Div", self.op("MatMul", query, key), self.const(math.sqrt(32)))
        weight = self.op("Softmax", self.op("Add", scores, barred), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", weight, value), perm=[0, 2, 1, 3])
        return self.op("Reshape", mixed, self.const([0, 0, 384], np.int64))

    def gelu(self, x: str) -> str:
        half = self.op("Mul", x, self.const(0.5))
        gate = self.op("Erf", self.op("Div", x, self.const(math.sqrt(2))))
        return self.op("Mul", half, self.op("Add", gate, self.const(1.0)))

    def features(self, tower: TextTower) -> str:
        """The tower's mean-pooled states (b, 384)."""
        used = self.op("Not", self.op("Equal", "ids", self.const(0, np.int64)))
        mask = self.op("Unsqueeze", self.op("Cast", used, to=TensorProto.FLOAT), self.const([2], np.int64))  # (b, L, 1)
        barred = self.op("Where", used, self.const(0.0), self.const(-1e4))
        barred = self.op("Unsqueeze", barred, self.const([1, 2], np.int64))
        words = self.op("Gather", self.const(tower.words.detach().numpy(), np.float16), "ids")
        length = self.op("Slice", self.op("Shape", "ids"), *(self.const([k], np.int64) for k in (1, 2)))
        places = self.const(tower.places.detach().numpy(), np.float16)
        place = self.op("Slice", places, self.const([0], np.int64), length)
        x = self.op("Add", *(self.op("Cast", part, to=TensorProto.FLOAT) for part in (words, place)))
        x = self.norm(x, tower.start)
        for layer in tower.layers:
            x = self.norm(self.op("Add", self.dense(self.attended(x, layer, barred), layer.mix), x), layer.mixed)
            inner = self.gelu(self.dense(x, layer.inner))
            x = self.norm(self.op("Add", self.dense(inner, layer.outer), x), layer.done)
        total = self.op("ReduceSum", self.op("Mul", x, mask), self.const([1], np.int64), keepdims=0)
        count = self.op("ReduceSum", mask, self.const([1], np.int64), keepdims=0)
        return self.op("Div", total, self.op("Max", count, self.const(1.0)))
