"""What templates, composed queries and diversity bring or cost, with lite on assets/labels.json.

python benchmarks/search.py [--data DIR]     # DIR: the training images; their held-out captions are asked too
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import ROOT

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))

from embedlab_core import Index
from embedlab_core.embed import EmbedOptions, embed_folders
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.folders import pull
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.search.diversity import intra_list_distance
from embedlab_core.search.queries import text_queries
from embedlab_core.search.search import QuerySet, SearchOptions

LABELS = json.loads((ROOT / "assets" / "labels.json").read_text())
CAT, DRAWN_CAT = str(ROOT / "assets" / "queries" / "q1.jpg"), "114.png"
CAPTIONED = ("flickr8k", "ui_docs", "charts", "coco", "emoji")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the training images, with captions.jsonl")
    args = parser.parse_args()
    encoder = OnnxEncoder(pull("lite"), many=True)
    with tempfile.TemporaryDirectory() as folder:
        embed_folders([str(ROOT / "assets" / "images")], Path(folder), Ensemble([encoder]), EmbedOptions())
        index = Index.open(folder)
        templates(index)
        composed(index)
        diversity(index)
    if args.data:
        captions(args.data, encoder)


def templates(index: Index) -> None:
    """R-precision: the share of right images among the first R, where R is how many are right."""
    for on in (False, True):
        shares = []
        for prompt, names in LABELS["prompts"].items():
            hits = index.search(text=prompt, k=len(names), options=SearchOptions(templates=on)).hits
            shares.append(np.mean([Path(hit.path).name in names for hit in hits]))
        print(f"labels.json prompts, templates {'on ' if on else 'off'}: R-precision {np.mean(shares):.3f}")


def captions(data: Path, encoder: OnnxEncoder) -> None:
    """Recall@k of held-out captions, each set among its own images."""
    from lite_lib.copies import view
    from lite_lib.drawings import synthetic_items
    from lite_lib.items import held_out, read_items
    from lite_lib.quality import encoded

    items = [*read_items(data), *synthetic_items()]
    for name in CAPTIONED:
        held = [items[number] for number in held_out(items, 0) if items[number].set == name]
        pixels = [view(item, 0, 0) for item in held]
        vectors = encoded(encoder, len(held), pixels.__getitem__)
        texts = [item.texts[0] for item in held]
        for on in (False, True):
            queries = text_queries(texts, Ensemble([encoder]), templates=on)
            scores = np.stack([query.vector for query in queries]) @ vectors.T
            ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
            recalls = " ".join(f"{100 * np.mean(ranks < k):.1f}" for k in (1, 5, 10))
            print(f"{name} captions ({len(held)}), templates {'on ' if on else 'off'}: R@1/5/10 {recalls}")


def composed(index: Index) -> None:
    """A photograph of a cat and words for a drawing are to find the one drawing of a cat."""

    def place(**query: str) -> int:
        return [Path(hit.path).name for hit in index.search(k=len(index), **query).hits].index(DRAWN_CAT) + 1

    print(f"the drawn cat is at place {place(image=CAT)} by a photograph of a cat; by words alone, and by both:")
    for words in ("a line drawing", "a sketch", "a drawing", "a pencil sketch", "a cartoon", "a sketch of a face"):
        print(f"    {words:<20} {place(text=words):>3} {place(image=CAT, text=words):>3}")


def diversity(index: Index) -> None:
    """Mean cosine of the first five to the query, and mean distance between them, over queries and prompts."""
    queries = QuerySet(str(ROOT / "assets" / "queries"), prompts=list(LABELS["prompts"]))
    for share, collapse in ((0.0, False), (0.0, True), (0.3, False), (0.5, False), (0.7, False)):
        results = index.search_each(queries, SearchOptions(diversity=share, collapse_duplicates=collapse))
        score = np.mean([hit.score for result in results for hit in result.hits])
        rows = [np.array([hit.row for hit in result.hits]) for result in results]
        apart = np.mean([intra_list_distance(index.reader.vectors(found)) for found in rows])
        title = f"--diversity {share}" + (" --collapse-duplicates" if collapse else "")
        print(f"{title:<38} mean score {score:.3f}, intra-list distance {apart:.3f}")


if __name__ == "__main__":
    main()
