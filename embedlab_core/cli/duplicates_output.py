"""Results about duplicates and anomalies -> lines of JSON or of a table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from embedlab_core.analysis.analyze import Analysis
from embedlab_core.analysis.anomalies import OUTLIER
from embedlab_core.analysis.calibration import Calibration, Estimate
from embedlab_core.analysis.check import CheckedFile, CheckedMatch
from embedlab_core.analysis.duplicates import DuplicateGroup, GroupFacts
from embedlab_core.analysis.plan import Plan
from embedlab_core.cli.options import printable
from embedlab_core.cli.output import rounded
from embedlab_core.index.manifest import Manifest


def analysis_json(
    manifest: Manifest, analysis: Analysis, explain: bool, more: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    """One object. What --explain adds stands under keys of its own, so that the two lists never change shape."""
    document: dict[str, Any] = {
        "duplicate_groups": [list(group.paths) for group in analysis.groups],
        "anomalies": [anomaly.path for anomaly in analysis.anomalies],
    }
    if explain:
        explained = [(group, group.facts) for group in analysis.groups if group.facts]
        document |= {
            "backbone": manifest.model_names,
            "dim": manifest.dim,
            "group_tightness": [
                {"tightest": rounded(group.spread.tightest_cosine), "loosest": rounded(group.spread.loosest_cosine)}
                for group, _ in explained
            ],
            "group_facts": [_facts_document(group, facts) for group, facts in explained],
            "anomaly_scores": [rounded(anomaly.score) for anomaly in analysis.anomalies],
            "anomaly_raw": [rounded(anomaly.raw) for anomaly in analysis.anomalies],
        }
        if analysis.recall is not None:
            document["ann_recall"] = rounded(analysis.recall)
    yield json.dumps(document | {**more})


def analysis_table(manifest: Manifest, analysis: Analysis, explain: bool, limit: int = 0) -> Iterator[str]:
    """limit: the most groups to list; 0 for all."""
    if analysis.recall is not None:
        yield f"approximate: {100 * analysis.recall:.1f} % of the 10 nearest images of a sample were looked at"
    groups = analysis.groups
    images = sum(len(group.paths) for group in groups)
    more = f", {images:,} images, {images - len(groups):,} beyond one of each" if groups else ""
    yield f"{counted(len(groups), 'group')} of near-duplicates{more}"
    shown = groups[:limit] if limit else groups
    if shown:
        yield f"{'group':>6}  {'images':>6}  cosine"
    for number, group in enumerate(shown, start=1):
        yield from _group_lines(number, group)
    if len(shown) < len(groups):
        yield f"and {counted(len(groups) - len(shown), 'more group')}: --limit 0 lists all"
    if not analysis.anomalies:
        return
    yield f"the {counted(len(analysis.anomalies), 'most isolated image')}, by robust z-score of the distance to others"
    yield f"{'rank':>6}  {'z':>6}"
    for rank, anomaly in enumerate(analysis.anomalies, start=1):
        mark = "  (outlier)" if anomaly.score > OUTLIER else ""
        yield f"{rank:>6}  {anomaly.score:>6.2f}  {printable(anomaly.path)}{mark}"


def counted(count: int, what: str) -> str:
    """ "1 group", "2 groups"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _group_lines(number: int, group: DuplicateGroup) -> Iterator[str]:
    spread, facts = group.spread, group.facts
    chain = "  chains: not every two are near-duplicates" if facts and group.chains else ""
    yield f"{number:>6}  {len(group.paths):>6,}  {spread.loosest_cosine:.4f} to {spread.tightest_cosine:.4f}{chain}"
    for place, path in enumerate(group.paths):
        marks = [f"keep: {facts.keeper.reason}"] if facts and place == facts.keeper.place else []
        marks += ["medoid"] if facts and place == spread.medoid else []
        yield f"        {printable(path)}" + (f"  ({', '.join(marks)})" if marks else "")
    if facts is None:
        return
    for name, pair in (("tightest", spread.tightest), ("loosest", spread.loosest)):
        yield f"        {name}: {' and '.join(printable(group.paths[place]) for place in pair)}"
    for evident in facts.evidence:
        yield f"        {' and '.join(map(printable, evident.paths))}: {', '.join(evident.evidence)}"
    if (rest := spread.pair_count - len(facts.evidence)) > 0:
        yield f"        and {counted(rest, 'more pair')}"


def _facts_document(group: DuplicateGroup, facts: GroupFacts) -> dict[str, Any]:
    spread = group.spread
    return {
        "tightest": _pair_document(group, spread.tightest, spread.tightest_cosine),
        "loosest": _pair_document(group, spread.loosest, spread.loosest_cosine),
        "medoid": group.paths[spread.medoid],
        "keeper": group.paths[facts.keeper.place],
        "keeper_reason": facts.keeper.reason,
        "chains": group.chains,
        "pair_count": spread.pair_count,
        "pairs": [
            {"paths": list(pair.paths), "cosine": rounded(pair.cosine), "evidence": list(pair.evidence)}
            for pair in facts.evidence
        ],
    }


def _pair_document(group: DuplicateGroup, pair: tuple[int, int], cosine: float) -> dict[str, Any]:
    return {"paths": [group.paths[place] for place in pair], "cosine": rounded(cosine)}


def plan_lines(plan_file: Path, plan: Plan) -> Iterator[str]:
    """What a plan would do, and the pairs that a person has to look at."""
    groups = counted(len(plan.groups), "group")
    yield f"{printable(str(plan_file))}: {counted(len(plan.moves), 'image')} of {groups} would move"
    if plan.look_at:
        yield f"{counted(len(plan.look_at), 'pair')} to look at: alike, but not surely copies; all of them stay"
    for pair in plan.look_at:
        files = " and ".join(printable(str(plan.place(file))) for file in (pair.keep, pair.file))
        yield f"  {files}: {pair.reason}"


def checked_json(checked: Sequence[CheckedFile]) -> Iterator[str]:
    """One object a file, each on one line."""
    for file in checked:
        matches = [_match_document(match) for match in file.matches]
        yield json.dumps({"file": file.name, "matches": matches})


def _match_document(match: CheckedMatch) -> dict[str, Any]:
    document = {**asdict(match), "cosine": rounded(match.cosine)}
    if match.probability is None:
        del document["probability"]
    else:
        document["probability"] = round(match.probability, 4)
    return document


def _verdict(file: CheckedFile) -> str:
    if not file.matches:
        return "not in the index"
    # Identical ones come first.
    return "in the index" if file.matches[0].identical else "near-duplicates in the index"


def checked_table(checked: Sequence[CheckedFile]) -> Iterator[str]:
    for file in checked:
        yield f"{printable(file.name)}: {_verdict(file)}"
        for match in file.matches:
            what = "identical bytes" if match.identical else "near-duplicate"
            chance = "" if match.identical or match.probability is None else f", probability {match.probability:.3f}"
            yield f"      {printable(match.path)}  ({what}, cosine {match.cosine:.4f}{chance})"


def calibration_json(calibration: Calibration) -> Iterator[str]:
    """One object: calibration.json without what belongs to the index."""
    document = asdict(calibration)
    for name in ("models", "state", "cosines", "probabilities"):
        del document[name]
    yield json.dumps(document)


def calibration_table(calibration: Calibration) -> Iterator[str]:
    for name in ("threshold", "precision", "recall"):
        estimate: Estimate = getattr(calibration, name)
        yield f"{name:<9}  {estimate.value:.4f}  (95 % interval {estimate.low:.4f} to {estimate.high:.4f})"
    if calibration.held_out_precision is not None:
        yield f"held out   precision {calibration.held_out_precision:.4f}, recall {calibration.held_out_recall:.4f}"
    made = "copies made and pairs found in the index" if calibration.source == "copies" else "labelled pairs"
    yield f"from       {calibration.duplicates} pairs of duplicates, {calibration.strangers} of strangers: {made}"
    if calibration.copies:
        found = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in calibration.copies.items())
        yield f"copies     found at this threshold: {found}"
