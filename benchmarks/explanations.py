"""Measures whether the marked words carry the flag: what their deletion moves, beside peers.

    python benchmarks/explanations.py --data DIR --workspace DIR --json OUT [--cases 100] [--quick]

The peers delete as many words. There are six public sets in six languages. `benchmarks/loop.py` trains one
model for each (1,500 or 3,000 rows, half of them ruled, 2 epochs; kept in the workspace folder and used
again). The cases are the decisions with the highest `p_overturn` among those whose ruling no model has seen.
A move is signed: above 0 means that the text reads more like the decision when the words are deleted. Three
scores measure each deletion of each method:

- `log_odds`: log odds of the decided label by the bundle's two label models mixed, each text read alone. Our
  search and leave-one-out use this score; integrated gradients do not;
- `encoder`: log odds of the decided label by the fine-tuned encoder alone in 32 bits, as integrated gradients
  see it;
- `p_overturn`: by how much the flag's probability falls.

Random spans have the lengths of ours, in ten draws. We compare with their *absolute* move, which is stricter
than the signed one. `like_for_like` compares our search on the encoder alone with integrated gradients on the
same encoder.

`shipped` judges as the bundle does, in 8 bits. `--bf16` adds the same model with 16-bit floats in the
encoders. `eight_bits` says how much 8 bits move the log odds of a decided label. The seconds of a card are
wall-clock time with the threads that the result names; measure them on an idle machine. Results are kept
beside the workspaces until the code or the arguments change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from captum.attr import LayerIntegratedGradients
from numpy.typing import NDArray

from evenhand.records.decision import decision_id
from evenhand.workspace.workspace import open_workspace
from models.bundle import ModelBundle
from models.encoders.encoder import Encoder, load_encoder
from models.explain.deletion import log_odds, search, without
from models.explain.explanation import READ, explain, found_in, reader
from models.explain.split_words import Span, words
from models.labels.classifier import EncoderClassifier
from models.registry import Registry

Floats = NDArray[np.float64]
HERE = Path(__file__).parent
METHODS = ("evenhand", "leave_one_out", "integrated_gradients", "random", "random_absolute")
SHIPPED, BF16 = "shipped", "bf16"
LONGER = (64, 128, 256)  # tokens
SCORES = ("log_odds", "p_overturn", "encoder")
SAME = ("evenhand", "integrated_gradients")
STEPS = 50  # steps of integrated gradients
DRAWS = 10  # draws of random spans
_KEY = ["case_id", "area", "moderator_id"]


@dataclass(frozen=True)
class Set:
    """A public file, and the part of it that is used."""

    name: str
    file: str
    language: str
    words: tuple[str, ...]  # of loop.py
    rows: int = 1_500


SETS = (
    Set("told_br", "told_br", "pt", ("--areas", "obscene", "insult"), rows=3_000),
    Set("multilingual_hatecheck-zh", "multilingual_hatecheck", "zh", ("--languages", "zh"), rows=3_000),
    Set("davidson", "davidson", "en", ()),
    Set("japanese_toxic", "japanese_toxic", "ja", ()),
    Set("gahd", "gahd", "de", ()),
    Set("multilingual_hatecheck-ar", "multilingual_hatecheck", "ar", ("--languages", "ar")),
)


def trained(chosen: Set, data: Path, root: Path) -> ModelBundle:
    """The champion of the set's workspace; it is trained first if `root` has no finished one."""
    done = root / f"{chosen.name}.json"
    if not done.exists():
        call = [sys.executable, str(HERE / "loop.py"), "--data", str(data / f"{chosen.file}.csv.gz")]
        call += [
            "--workspace",
            str(root / chosen.name),
            "--limit",
            str(chosen.rows),
            "--epochs",
            "2",
            "--rulings-share",
            "0.5",
        ]
        subprocess.run(
            [*call, "--json", str(done), *chosen.words],
            stdout=subprocess.DEVNULL,
            check=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )
    return Registry(open_workspace(root / chosen.name)).load("champion")


def flagged(root: Path, count: int, skip: int) -> pl.DataFrame:
    """The `count` most suspect decisions after the first `skip`.

    They have no revealed ruling and two words or more; each text is used once, in NFC.
    """
    files = root / "input"
    decisions = pl.read_csv(files / "decisions.csv", infer_schema=False).with_columns(
        pl.col("text").fill_null("").map_elements(lambda t: unicodedata.normalize("NFC", t), pl.String)
    )
    ruled = pl.read_csv(files / "rulings.csv", infer_schema=False).rename(
        {"decision_moderator_id": "moderator_id"}
    )
    flags = pl.read_parquet(files / "flags.parquet").select(*_KEY, "p_overturn")
    rows = decisions.join(ruled, on=_KEY, how="anti").join(flags, on=_KEY, how="inner", validate="1:1")
    ids = [decision_id(*key) for key in rows.select(_KEY).iter_rows()]
    rows = rows.with_columns(pl.Series("decision_id", ids))
    rows = rows.sort("p_overturn", "decision_id", descending=[True, False])
    rows = rows.unique("text", keep="first", maintain_order=True)
    enough = [len(words(text, READ)) >= 2 for text in rows["text"]]
    return rows.filter(pl.Series(enough)).slice(skip, count)


def in_32_bits(folder: Path) -> EncoderClassifier:
    """The bundle's classifier before it was quantised."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("classifier.safetensors", "tokenizer.json"):
            shutil.copy(folder / name, place)
        manifest = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
        (Path(place) / "classifier.json").write_text(json.dumps({**manifest, "int8": False}))
        return EncoderClassifier.load(Path(place))


class Sharp(Encoder):
    """An encoder in 16-bit floats; its vectors have 32 bits."""

    def pool(self, ids: Any) -> torch.Tensor:
        """Pool as the encoder does."""
        return super().pool(ids).float()


def in_16_bits(bundle: ModelBundle, folder: Path) -> ModelBundle:
    """The bundle with both encoders in bf16 instead of 8-bit integers."""
    classifier = in_32_bits(folder)
    classifier.encoder = sharp(classifier.encoder)
    base = load_encoder(bundle.base.name, max_tokens=bundle.base.max_tokens)
    return replace(bundle, classifier=classifier, base=sharp(base))


def sharp(encoder: Encoder) -> Encoder:
    """`encoder` with its weights cast in place."""
    encoder.model.to(torch.bfloat16)
    return Sharp(encoder.model, encoder.tokenizer, encoder.name, encoder.revision, encoder.max_tokens)


class Gradients:
    """Integrated gradients of a label's log odds over the word embeddings, by captum."""

    def __init__(self, model: EncoderClassifier) -> None:
        self.model = model
        self.layer = LayerIntegratedGradients(self._odds, model.body.get_input_embeddings())

    def _odds(self, ids: torch.Tensor, head: str, label: int) -> torch.Tensor:
        hidden = self.model.body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        p = torch.log_softmax(self.model.logits(hidden.mean(1), head), -1)
        return p[:, label] - torch.log1p(-p[:, label].exp().clamp(max=1 - 1e-6))

    def of_words(self, text: str, spans: list[Span], head: str, label: int) -> Floats:
        """What each word adds to the label's log odds, shape (words,).

        Words past the encoder's window add 0.
        """
        encoder, prefix = self.model.encoder, "query: "
        read = encoder.tokenizer.encode(prefix + text[: 20 * encoder.max_tokens])
        ids = torch.tensor(encoder.tokens([text]))
        blank = ids.clone()
        offsets = read.offsets[: ids.shape[1] - 1]
        inside = [i for i, (start, end) in enumerate(offsets) if start >= len(prefix) and end > start]
        blank[0, inside] = int(self.model.body.config.pad_token_id or 0)
        parts = self.layer.attribute(
            ids, blank, additional_forward_args=(head, label), n_steps=STEPS, internal_batch_size=10
        )
        by_token = parts.sum(-1)[0].detach().numpy()
        out = np.zeros(len(spans))
        for i in inside:
            start, end = offsets[i][0] - len(prefix), offsets[i][1] - len(prefix)
            for word, (a, b) in enumerate(spans):
                out[word] += by_token[i] * max(0, min(end, b) - max(start, a)) / (end - start)
        return out


def random_words(lengths: list[int], n: int, rng: np.random.Generator) -> frozenset[int]:
    """Runs of `lengths` words at random places among `n` words, without overlap."""
    parts = [*lengths, *([0] * (n - sum(lengths)))]
    at, found = 0, set[int]()
    for i in rng.permutation(len(parts)):
        found.update(range(at, at + parts[i]))
        at += parts[i] or 1
    return frozenset(found)


def runs(chosen: frozenset[int]) -> list[int]:
    """Lengths of the runs of neighbouring words in `chosen`."""
    places = sorted(chosen)
    cuts = [0, *(i for i in range(1, len(places)) if places[i] > places[i - 1] + 1), len(places)]
    return [b - a for a, b in zip(cuts, cuts[1:], strict=False)]


def top(effect: Floats, count: int) -> frozenset[int]:
    """Places of the `count` greatest effects."""
    return frozenset(np.argsort(-effect, kind="stable")[:count].tolist())


class Judge:
    """The three scores of a decision's label, for any text instead of its own."""

    def __init__(self, bundle: ModelBundle, encoder: EncoderClassifier, row: dict[str, Any]) -> None:
        self.bundle, self.encoder, self.row = bundle, encoder, row
        self.head = bundle.head_key(row["policy_version"], row["area"])
        self.label = bundle.classifier.heads[self.head].labels.index(row["label"])
        self.read = reader(bundle, self.head)

    def scores(self, texts: list[str]) -> dict[str, Floats]:
        """Each of SCORES for each text, shape (n,).

        `p_overturn` is negated, so that higher is less suspect.
        """
        mixed = np.concatenate([log_odds(self.read([text])[:, self.label]) for text in texts])
        alone = log_odds(self.encoder.proba(texts, self.head)[:, self.label])
        rows = pl.DataFrame([{**self.row, "text": text} for text in texts], infer_schema_length=None)
        return {
            "log_odds": mixed,
            "p_overturn": -self.bundle.judge(rows)["p_overturn"].to_numpy(),
            "encoder": alone,
        }


def one_case(
    bundle: ModelBundle,
    encoder: EncoderClassifier,
    row: dict[str, Any],
    by_gradients: Floats,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """All methods on one decision: the moves of each score, and what happened to the flip.

    `by_gradients`: what each word takes from the decided label's log odds, by integrated gradients.
    """
    text, judge = row["text"], Judge(bundle, encoder, row)
    spans = words(text, READ)
    view = bundle.judge(pl.DataFrame([row]))
    predicted = view["predicted_label"][0]
    found = found_in(bundle, row, spans, predicted)
    ours = frozenset(i for i, weight in found.weights.items() if weight > 0)
    singly = np.concatenate([log_odds(judge.read([without(text, [span])])[:, judge.label]) for span in spans])
    deletions = [ours, top(singly, len(ours)), top(by_gradients, len(ours))]
    deletions += [random_words(runs(ours), len(spans), rng) for _ in range(DRAWS)]
    texts = [text, *(without(text, (spans[i] for i in sorted(cut))) for cut in deletions)]
    out: dict[str, Any] = {"words": len(spans), "deleted": len(ours), "differs": predicted != row["label"]}
    for name, values in judge.scores(texts).items():
        move = values[1:] - values[0]
        lots = move[3:]
        parts = (*move[:3], lots.mean(), np.abs(lots).mean())
        out[name] = dict(zip(METHODS, map(float, parts), strict=True))
    out["flip"] = None
    if found.flip:
        rest = without(text, (spans[i] for i in sorted(found.flip.words)))
        after = bundle.judge(pl.DataFrame([{**row, "text": rest}]))["predicted_label"][0]
        out["flip"] = {"words": len(found.flip.words), "confirmed": bool(after != predicted)}
    return out


def like_for_like(judge: Judge, spans: list[Span], by_gradients: Floats) -> dict[str, float] | None:
    """Our search on the encoder alone beside integrated gradients; None if our search marks nothing."""
    text = judge.row["text"]
    p = judge.encoder.proba([text], judge.head)[0]
    found = search(
        text,
        spans,
        lambda texts: judge.encoder.proba(texts, judge.head),
        decided=judge.label,
        predicted=int(p.argmax()),
        passes=1_600 // len(judge.encoder.encoder.tokens([text])[0]),
    )
    ours = frozenset(i for i, weight in found.weights.items() if weight > 0)
    if not ours:
        return None
    texts = [
        text,
        *(without(text, (spans[i] for i in sorted(c))) for c in (ours, top(by_gradients, len(ours)))),
    ]
    odds = log_odds(judge.encoder.proba(texts, judge.head)[:, judge.label])
    return {"evenhand": float(odds[1] - odds[0]), "integrated_gradients": float(odds[2] - odds[0])}


def seconds(bundle: ModelBundle, rows: pl.DataFrame) -> dict[str, float]:
    """Seconds for a card made alone: median, 95th percentile, share within 0.3 s, mean CPU time."""
    explain(bundle, rows.head(1))  # warms up
    taken, cpu = [], time.process_time()
    for i in range(rows.height):
        began = time.perf_counter()
        explain(bundle, rows[i])
        taken.append(time.perf_counter() - began)
    p50, p95 = np.quantile(taken, [0.5, 0.95])
    within = float(np.mean(np.array(taken) <= 0.3))
    found = {"p50": p50, "p95": p95, "within_0.3": within, "cpu": (time.process_time() - cpu) / rows.height}
    return {"n": rows.height, **{name: round(float(value), 3) for name, value in found.items()}}


def tokens(bundle: ModelBundle, texts: list[str]) -> Floats:
    """The tokens of each text, not cut."""
    read = bundle.classifier.encoder.tokenizer.encode_batch_fast(texts)
    return np.array([len(row.ids) for row in read], float)


def lengthened(bundle: ModelBundle, rows: pl.DataFrame, size: int, count: int) -> pl.DataFrame:
    """`count` cases whose texts join several texts of the set, up to `size` tokens."""
    texts, at = [], 0
    for _ in range(count):
        text = ""
        while True:
            longer = f"{text} {rows['text'][at % rows.height]}".strip()
            at += 1
            if text and tokens(bundle, [longer])[0] > size:
                break
            text = longer
        texts.append(text)
    start = [rows.row(i % rows.height, named=True) for i in range(count)]
    return pl.DataFrame([{**row, "text": text} for row, text in zip(start, texts, strict=True)])


def summary(sets: list[list[dict[str, Any]]], rng: np.random.Generator) -> dict[str, Any]:
    """Mean moves (the mean of the sets' means) and ratios of them, 95% by bootstrap over each set's cases."""
    out: dict[str, Any] = {}
    for score in SCORES:
        values = [np.array([[case[score][m] for m in METHODS] for case in cases]) for cases in sets]
        out[score] = _ratios(values, METHODS, rng)
    return out


def same_ground(sets: list[list[dict[str, float]]], rng: np.random.Generator) -> dict[str, Any]:
    """The same as `summary`, for the search on the encoder alone."""
    values = [np.array([[case[m] for m in SAME] for case in cases]) for cases in sets]
    return _ratios(values, SAME, rng)


def _ratios(values: list[Floats], names: tuple[str, ...], rng: np.random.Generator) -> dict[str, Any]:
    def mean(draw: bool) -> Floats:
        picks = [v[rng.integers(0, len(v), len(v))] if draw else v for v in values]
        return np.asarray(np.mean([v.mean(0) for v in picks], axis=0))

    point = mean(draw=False)
    boot = np.array([mean(draw=True) for _ in range(2_000)])
    out: dict[str, Any] = {"move": {n: round(float(v), 4) for n, v in zip(names, point, strict=True)}}
    for i, name in enumerate(names):
        if name in ("evenhand", "random"):
            continue
        low, high = np.quantile(boot[:, 0] / boot[:, i], [0.025, 0.975])
        ratio = {"ratio": point[0] / point[i], "low": low, "high": high}
        out[f"to_{name}"] = {k: round(float(v), 3) for k, v in ratio.items()}
    return out


def one_set(chosen: Set, args: argparse.Namespace) -> dict[str, Any]:
    """All cases of one set in both precisions, with seconds and the effect of 8 bits; cached."""
    sources = [
        HERE / "explanations.py",
        *(HERE.parent / "models" / "explain" / f"{m}.py" for m in ("deletion", "explanation", "split_words")),
    ]
    mark = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:8]
    kept = (
        args.workspace
        / f"{chosen.name}-{args.skip}-{args.cases}-{args.seed}{'-bf16' if args.bf16 else ''}-{mark}.json"
    )
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    bundle = trained(chosen, args.data, args.workspace)
    folder = Registry(open_workspace(args.workspace / chosen.name)).folder("champion")
    encoder = in_32_bits(folder)
    gradients, bundles = Gradients(encoder), {SHIPPED: bundle}
    if args.bf16:
        bundles[BF16] = in_16_bits(bundle, folder)
    rows = flagged(args.workspace / chosen.name, args.cases, args.skip)
    found: dict[str, Any] = {
        "language": chosen.language,
        "rulings": bundle.manifest.n_rulings,
        "like_for_like": [],
        **{b: [] for b in bundles},
    }
    for row in rows.iter_rows(named=True):
        judge = Judge(bundle, encoder, row)
        spans = words(row["text"], READ)
        by_gradients = -gradients.of_words(row["text"], spans, judge.head, judge.label)
        for name, one in bundles.items():
            rng = np.random.default_rng([args.seed, int(row["decision_id"], 16)])
            found[name].append(one_case(one, encoder, row, by_gradients, rng))
        found["like_for_like"].append(like_for_like(judge, spans, by_gradients))
    found["eight_bits"] = eight_bits(bundle, encoder, rows)
    short = rows.filter(pl.Series(tokens(bundle, rows["text"].to_list()) <= 256))
    found["seconds"] = {
        name: {
            "cases": seconds(one, short),
            **{f"joined_to_{n}_tokens": seconds(one, lengthened(one, rows, n, 10)) for n in LONGER},
        }
        for name, one in bundles.items()
    }
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def eight_bits(bundle: ModelBundle, encoder: EncoderClassifier, rows: pl.DataFrame) -> dict[str, float]:
    """How much the decided label's log odds differ between the 8-bit and the 32-bit encoder.

    Texts are read together.
    """
    gap = []
    for (version, area), part in rows.group_by("policy_version", "area", maintain_order=True):
        head = bundle.head_key(str(version), str(area))
        label = [bundle.classifier.heads[head].labels.index(name) for name in part["label"]]
        both = [log_odds(m.proba(part["text"].to_list(), head)) for m in (bundle.classifier, encoder)]
        gap.append((both[0] - both[1])[np.arange(len(label)), label])
    error = np.concatenate(gap)
    return {"rms": round(float(np.sqrt((error**2).mean())), 3), "most": round(float(np.abs(error).max()), 3)}


def figures(found: dict[str, Any], seed: int) -> dict[str, Any]:
    """What is reported of one set."""
    out = {name: found[name] for name in ("language", "rulings", "seconds", "eight_bits")}
    for name in (name for name in (SHIPPED, BF16) if name in found):
        cases = found[name]
        marked, flips = [c for c in cases if c["deleted"]], [c["flip"] for c in cases if c["flip"]]
        out[name] = {
            "cases": len(cases),
            "nothing_marked": len(cases) - len(marked),
            "read_otherwise_than_decided": sum(case["differs"] for case in cases),
            "words": round(float(np.mean([case["words"] for case in marked])), 1),
            "words_deleted": round(float(np.mean([case["deleted"] for case in marked])), 2),
            "flips": len(flips),
            "flips_confirmed": sum(flip["confirmed"] for flip in flips),
            "flip_words": round(float(np.mean([flip["words"] for flip in flips])), 2) if flips else None,
            **summary([marked], np.random.default_rng(seed)),
        }
    same = [case for case in found["like_for_like"] if case]
    out["like_for_like"] = same_ground([same], np.random.default_rng(seed))
    return out


def main() -> None:
    """Measure every set and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared public sets")
    parser.add_argument("--workspace", type=Path, required=True, help="folder of the trained workspaces")
    parser.add_argument("--cases", type=int, default=100, help="a set")
    parser.add_argument(
        "--skip", type=int, default=20, help="cases that methods were chosen on, the most suspect ones"
    )
    parser.add_argument("--sets", nargs="*", choices=[one.name for one in SETS], default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="measure 16-bit floats as well")
    parser.add_argument("--quick", action="store_true", help="two sets, ten cases each")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.quick:
        args.cases = min(args.cases, 10)
    chosen = [one for one in SETS if args.sets is None or one.name in args.sets][: 2 if args.quick else None]
    measured = {}
    for one in chosen:
        measured[one.name] = one_set(one, args)
        print(one.name, json.dumps(figures(measured[one.name], args.seed)), flush=True)
    rng = np.random.default_rng(args.seed)
    macro = {
        name: summary([[c for c in found[name] if c["deleted"]] for found in measured.values()], rng)
        for name in (SHIPPED, BF16)
        if name == SHIPPED or args.bf16
    }
    same = same_ground([[c for c in found["like_for_like"] if c] for found in measured.values()], rng)
    found = {
        "sets": {name: figures(one, args.seed) for name, one in measured.items()},
        "macro": {**macro, "like_for_like": same},
        "threads": torch.get_num_threads(),
        "seed": args.seed,
        "skipped": args.skip,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    text = json.dumps(found, indent=1)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(text + "\n", encoding="utf-8")
    print(json.dumps(found["macro"], indent=1))


if __name__ == "__main__":
    main()
