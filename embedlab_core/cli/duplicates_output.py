"""Results about duplicates and anomalies -> lines of JSON or of a table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from embedlab_core.analysis.analyze import Analysis
from embedlab_core.analysis.calibration import Calibration, Estimate
from embedlab_core.analysis.check import CheckedFile, CheckedMatch
from embedlab_core.analysis.duplicates import DuplicateGroup
from embedlab_core.analysis.keeper import GroupFacts, ScoredPair
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
                {"tightest": rounded(facts.tightest.cosine), "loosest": rounded(facts.loosest.cosine)}
                for _, facts in explained
            ],
            "group_facts": [_facts_document(group, facts) for group, facts in explained],
            "anomaly_scores": [rounded(anomaly.score) for anomaly in analysis.anomalies],
            "anomaly_raw": [rounded(anomaly.raw) for anomaly in analysis.anomalies],
        }
        if analysis.recall is not None:
            document["ann_recall"] = rounded(analysis.recall)
    yield json.dumps(document | {**more})


def analysis_table(manifest: Manifest, analysis: Analysis, explain: bool) -> Iterator[str]:
    if analysis.recall is not None:
        yield f"approximate: {100 * analysis.recall:.1f} % of the 10 nearest images of a sample were looked at"
    yield f"{len(analysis.groups)} duplicate groups"
    for number, group in enumerate(analysis.groups, start=1):
        yield from _group_lines(number, group)
    yield f"{len(analysis.anomalies)} anomalies, by robust z-score of their isolation"
    for rank, anomaly in enumerate(analysis.anomalies, start=1):
        yield f"{rank:>4}  {anomaly.score:>6.2f}  {printable(anomaly.path)}"


def _group_lines(number: int, group: DuplicateGroup) -> Iterator[str]:
    facts = group.facts
    if facts is None:
        yield f"{number:>4}  {len(group.paths)} images"
        yield from (f"      {printable(path)}" for path in group.paths)
        return
    chain = "; chains: not every two are near-duplicates" if facts.chains else ""
    spread = f"cosine {facts.loosest.cosine:.4f} to {facts.tightest.cosine:.4f}"
    yield f"{number:>4}  {len(group.paths)} images  ({spread}{chain})"
    for path in group.paths:
        marks = [f"keep: {facts.reason}"] if path == facts.keeper else []
        marks += ["medoid"] if path == facts.medoid else []
        yield f"      {printable(path)}" + (f"  ({', '.join(marks)})" if marks else "")
    for name, pair in (("tightest", facts.tightest), ("loosest", facts.loosest)):
        yield f"      {name}: {' and '.join(map(printable, pair.paths))}"
    for evident in group.evidence:
        yield f"      {' and '.join(map(printable, evident.paths))}: {', '.join(evident.evidence)}"


def _facts_document(group: DuplicateGroup, facts: GroupFacts) -> dict[str, Any]:
    return {
        "tightest": _pair_document(facts.tightest),
        "loosest": _pair_document(facts.loosest),
        "medoid": facts.medoid,
        "keeper": facts.keeper,
        "keeper_reason": facts.reason,
        "chains": facts.chains,
        "pairs": [
            {"paths": list(pair.paths), "cosine": rounded(pair.cosine), "evidence": list(pair.evidence)}
            for pair in group.evidence
        ],
    }


def _pair_document(pair: ScoredPair) -> dict[str, Any]:
    return {"paths": list(pair.paths), "cosine": rounded(pair.cosine)}


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
