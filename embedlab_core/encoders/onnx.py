"""The model folder run by ONNX Runtime on the CPU."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.base import TextEmbeddings, checked
from embedlab_core.encoders.prompts import clean_prompt
from embedlab_core.encoders.spec import ModelSpec
from embedlab_core.encoders.words import Words
from embedlab_core.errors import ModelError, first_line
from embedlab_core.index.manifest import ModelRef
from embedlab_core.packages import needed_for

if TYPE_CHECKING:
    import onnxruntime
    import tokenizers


class OnnxEncoder:
    """Sessions and the tokenizer are made when they are first needed: a text query never loads the image tower.

    many: whether many batches will run. Laying weights out for the fastest products (prepacking) pays only then: for a
    single query it copies hundreds of megabytes that are otherwise mapped from the file and touched once.
    """

    def __init__(self, spec: ModelSpec, *, many: bool = False) -> None:
        self.spec = spec
        self._many = many

    @property
    def ref(self) -> ModelRef:
        return self.spec.ref("float32")

    @property
    def runtime(self) -> str:
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (b, size, size, 3) RGB -> float32 (b, d), unit length.

        Without prepacked weights ONNX Runtime sums in another order for one row than for many: each image runs alone.
        """
        session = self._image_session
        parts = [pixels] if self._many else np.split(pixels, len(pixels))
        vectors = np.concatenate([self._run(session, {"pixels": part}) for part in parts])
        return checked(vectors, self.spec)

    def encode_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """Each prompt runs alone, at its own length, so that its vector does not depend on the others."""
        vectors = []
        truncated, unknown = [], []
        for text in texts:
            cleaned = clean_prompt(text, self.spec.cleaning)
            encoding = self._tokenizer.encode(cleaned)
            if encoding.overflowing:
                truncated.append(text)
            if self._words.none_known(cleaned, encoding):
                unknown.append(text)
            ids = np.array([encoding.ids], dtype=np.int64)
            vectors.append(self._run(self._text_session, {"ids": ids}))
        found = np.concatenate(vectors) if vectors else np.empty((0, self.spec.dim), np.float32)
        return TextEmbeddings(checked(found, self.spec), tuple(truncated), tuple(unknown))

    def _run(
        self, session: "onnxruntime.InferenceSession", inputs: dict[str, npt.NDArray[Any]]
    ) -> npt.NDArray[np.float32]:
        try:
            return cast(npt.NDArray[np.float32], session.run(None, inputs)[0])
        except _onnx_errors() as error:
            raise ModelError(
                f"{self.spec.folder}: ONNX Runtime cannot run model {self.spec.name} ({first_line(error)}); if memory "
                "is short, a smaller --batch-size takes less"
            ) from error

    @cached_property
    def _image_session(self) -> "onnxruntime.InferenceSession":
        return _session(self.spec.folder / "image.onnx", prepack=self._many)

    @cached_property
    def _text_session(self) -> "onnxruntime.InferenceSession":
        return _session(self.spec.folder / "text.onnx", prepack=self._many)

    @cached_property
    def _words(self) -> Words:
        return Words(self._tokenizer)

    @cached_property
    def _tokenizer(self) -> "tokenizers.Tokenizer":
        with needed_for("reading prompts"):
            import tokenizers

        path = self.spec.folder / "tokenizer.json"
        try:
            return tokenizers.Tokenizer.from_file(str(path))
        # tokenizers raises bare Exception for every fault of the file.
        except Exception as error:
            raise ModelError(f"{path}: cannot be read ({first_line(error)}); restore the model folder") from error


def _session(path: Path, prepack: bool) -> "onnxruntime.InferenceSession":
    with needed_for("running a model"):
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Spinning threads would take the cores that decode the next images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_prepacking", "0" if prepack else "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _onnx_errors() as error:
        raise ModelError(
            f"{path}: ONNX Runtime cannot load it ({first_line(error)}); restore the model folder"
        ) from error


def _onnx_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    return (
        states.Fail,
        states.InvalidArgument,
        states.InvalidProtobuf,
        states.InvalidGraph,
        states.NoSuchFile,
        states.RuntimeException,
    )
