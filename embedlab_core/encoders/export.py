"""An open_clip model -> a model folder, made once, whole or not at all."""

import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.openclip import LoadedModel, Source, weights_sha256
from embedlab_core.encoders.spec import FORMAT, MODEL_JSON, ModelSpec, load_model_spec
from embedlab_core.encoders.tokenizer import tokenizer_of
from embedlab_core.encoders.towers import image_tower, text_tower
from embedlab_core.errors import ModelError, ModelPullError
from embedlab_core.index.files import file_sha256
from embedlab_core.search.similarity import cosines
from embedlab_core.search.templates import template_prompts

if TYPE_CHECKING:
    import torch

# The ONNX opset: 18 is the first with every operator that torch's exporter writes natively, and ONNX Runtime 1.14 on
# reads it.
_OPSET = 18

# Smaller tensors stay in the graph, where shape inference can see them.
_EXTERNAL_BYTES = 1024

# ONNX Runtime and torch sum in different orders; a wrong graph is off by far more than this.
_LEAST_COSINE = 0.9999


# What the mean text vector is taken over, in every prompt template: people, animals, things, places and screens.
_CONCEPTS = (
    "a dog",
    "a man",
    "children playing",
    "a red car",
    "food on a table",
    "a beach",
    "a login screen",
    "a chart",
)


def export_model(name: str, source: Source, loaded: LoadedModel, folder: Path) -> ModelSpec:
    """Write image.onnx, text.onnx, their weights, tokenizer.json and model.json, and check them against torch.

    The weights lie in a file of their own, so that a session maps them into memory in place of reading them: that is
    most of a cold start. Raises ModelError if a graph cannot be made or does not agree with torch, and ModelPullError
    if there is no room.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            # Another process may have made it while this one waited.
            if not (folder / MODEL_JSON).is_file():
                _make(name, source, loaded, folder)
    except OSError as error:
        raise ModelPullError(
            f"{folder}: cannot be written ({error.strerror or error}); free some space, or set EMBEDLAB_WEIGHTS to "
            "another folder"
        ) from error
    return load_model_spec(folder)


def _make(name: str, source: Source, loaded: LoadedModel, folder: Path) -> None:
    temporary = folder.with_name(f".tmp-{folder.name}")
    # A process that was killed left it: there is a lock on it.
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        _write(name, source, loaded, temporary)
        _check(load_model_spec(temporary), loaded)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(name: str, source: Source, loaded: LoadedModel, folder: Path) -> None:
    size = _square(loaded.preprocess["size"])
    text = tokenizer_of(loaded.tokenizer)
    _export(image_tower(loaded), folder / "image.onnx", "pixels", np.zeros((2, size, size, 3), np.uint8))
    _export(text_tower(loaded), folder / "text.onnx", "ids", np.ones((2, text.context_length), np.int64))
    # Its own save() raises bare Exception for a full disk.
    (folder / "tokenizer.json").write_text(text.tokenizer.to_str(pretty=True), "utf-8")
    files = {path.name: path for path in sorted(folder.iterdir())}
    preprocess = loaded.preprocess
    document = {
        "format": FORMAT,
        "name": name,
        "dim": _embedding_dim(loaded),
        "license": source.license,
        "source": f"{source.model_name}:{source.tag}" if source.tag else source.model_name,
        "image": {
            "size": size,
            "resize": preprocess["resize_mode"],
            "interpolation": preprocess["interpolation"],
            "mean": list(preprocess["mean"]),
            "std": list(preprocess["std"]),
            "fill": preprocess["fill_color"],
        },
        "text": {"context_length": text.context_length, "cleaning": text.cleaning},
        "logit_scale": float(loaded.model.logit_scale.detach().exp()),
        "weights_sha256": weights_sha256(loaded),
        "bands": {"image": {}, "text": {}},
        "means": {"text": _text_mean(loaded)},
        "files": {file: {"sha256": file_sha256(path), "bytes": path.stat().st_size} for file, path in files.items()},
    }
    (folder / MODEL_JSON).write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def _text_mean(loaded: LoadedModel) -> list[float]:
    """The mean unit vector over varied prompts. An image mean needs images: there are none here."""
    import torch

    prompts = [text for concept in _CONCEPTS for text in template_prompts(concept)]
    with torch.inference_mode():
        vectors = text_tower(loaded)(loaded.tokenizer(prompts)).double()
    mean: list[float] = [round(value, 6) for value in vectors.mean(0).tolist()]
    return mean


def _square(size: int | tuple[int, int]) -> int:
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ModelError(
            f"a model with an input of {height} x {width} pixels is not supported; its input must be square"
        )
    return height


def _embedding_dim(loaded: LoadedModel) -> int:
    import torch

    context = torch.ones((1, tokenizer_of(loaded.tokenizer).context_length), dtype=torch.int64)
    with torch.inference_mode():
        return int(loaded.model.encode_text(context).shape[1])


def _export(tower: "torch.nn.Module", path: Path, input_name: str, sample: npt.NDArray[np.generic]) -> None:
    """Write the graph to `path` and the weights to `path` + ".data"."""
    import onnx
    import torch

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            tower,
            (torch.from_numpy(sample),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            input_names=[input_name],
            output_names=["vectors"],
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None  # torch returns None only when it is told to write a file itself
    model = program.model_proto
    for node in model.graph.node:
        # The exporter notes torch's call stack at every node: half a megabyte of this machine's paths.
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.save(
        model,
        str(path),
        save_as_external_data=True,
        location=f"{path.name}.data",
        size_threshold=_EXTERNAL_BYTES,
    )
    # onnx makes the weights readable by their owner only.
    shutil.copymode(path, path.with_name(f"{path.name}.data"))


def _check(spec: ModelSpec, loaded: LoadedModel) -> None:
    import torch

    encoder = OnnxEncoder(spec)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, spec.pixels.size, spec.pixels.size, 3), dtype=np.uint8)
    prompts = ["a photo of a cat", "login screen"]
    with torch.inference_mode():
        images = image_tower(loaded)(torch.from_numpy(pixels)).numpy()
        texts = loaded.model.encode_text(loaded.tokenizer(prompts), normalize=True).numpy()
    for name, expected, actual in (
        ("image.onnx", images, encoder.encode_images(pixels)),
        ("text.onnx", texts, encoder.encode_texts(prompts).vectors),
    ):
        agreement = float(cosines(expected, actual).min())
        if not agreement >= _LEAST_COSINE:
            raise ModelError(f"{spec.name}: the exported {name} disagrees with torch (cosine {agreement:.6f})")
