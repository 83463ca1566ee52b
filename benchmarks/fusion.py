"""What fusing two models brings or costs on assets/labels.json: each alone, then both.

python benchmarks/fusion.py lite ViT-B-32
"""

import json
import sys
import tempfile
from pathlib import Path

from timing import ROOT

from embedlab_core.api import Index
from embedlab_core.embed import EmbedOptions, embed_folders
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.folders import pull
from embedlab_core.encoders.open import open_encoder
from embedlab_core.search.search import QuerySet, SearchOptions

LABELS = json.loads((ROOT / "assets" / "labels.json").read_text())


def main() -> None:
    first, second = sys.argv[1:]
    for backbones in ([first], [second], [first, second]):
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder)
            ensemble = Ensemble([open_encoder(pull(backbone), "cpu", "float32", 8) for backbone in backbones])
            embed_folders([str(ROOT / "assets" / "images")], index, ensemble, EmbedOptions())
            prompts = precision(index, QuerySet(prompts=list(LABELS["prompts"])), LABELS["prompts"])
            queries = precision(index, QuerySet(str(ROOT / "assets" / "queries")), LABELS["queries"])
            print(f"{' + '.join(backbones):<40} R-precision: prompts {prompts:.3f}, query images {queries:.3f}")


def precision(index: Path, query_set: QuerySet, truth: dict[str, list[str]]) -> float:
    """Mean R-precision: the share of right images among the first R, where R is how many are right."""
    shares = []
    for result in Index.open(index).search_each(query_set, SearchOptions(k=len(LABELS["prompts"]))):
        right = set(truth[Path(result.query.name).name])
        shares.append(sum(Path(hit.path).name in right for hit in result.hits[: len(right)]) / len(right))
    return sum(shares) / len(shares)


if __name__ == "__main__":
    main()
