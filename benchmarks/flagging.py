"""Does Evenhand rank decisions better than its peers, and is p_overturn calibrated? On public sets with votes.

    python benchmarks/flagging.py --data DIR --cache DIR --json OUT

One random vote a row is the moderator's decision, the gold (or the majority of the other votes) the SME's ruling. Half of
the groups are for the final table only (`--part final`); rulings of 30% of all groups come from the other half, whose rest served
for choosing (`--part dev`). Nobody sees the truth of any other decision. Evenhand's second stage is the product's own
code on the base encoder; the fine-tuned one is measured by `benchmarks/loop.py`. Resumable: a run of a set and seed is
computed once a cache folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from flagging_peers import Head, scores
from numpy.typing import NDArray
from public_sets import SETS
from scipy.special import expit, logit
from votes import adapt

from evenhand.estimation import recalibrate
from evenhand.policy import PolicyVersion, parse_policy
from evenhand.telemetry import quiet
from models.bundle import Manifest, ModelBundle
from models.classifier import EncoderClassifier, heads_of
from models.encoder import Encoder, load_encoder
from models.evidence import Evidence, Taught
from models.flagging import FEATURES, Flagger
from models.metrics import average_precision, ece, evaluate
from models.precedents import Precedents
from training.second_stage import decided_lessons, fit_flagger, group_folds
from training.splits import groups

Floats = NDArray[np.float64]
SHOWN = ("ap", "lift_at_1", "lift_at_5", "lift_at_10", "auroc", "ece", "brier")
ENCODER = "bundled:multilingual-e5-small"
ENOUGH = 800  # unseen decisions of an area in a language from which it gets figures of its own


def main() -> None:
    """Compute what is missing in the cache, then write tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sets", nargs="*", default=[n for n, s in SETS.items() if s.votes != "none"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--rulings-share", type=float, default=0.3, help="of all groups; at most 0.5")
    parser.add_argument("--part", choices=("dev", "final"), default="final")
    parser.add_argument(
        "--unseen-languages", nargs="*", default=[], help="no ruling in these; only they are judged"
    )
    parser.add_argument("--no-history", action="store_true", help="as with [model] moderator_history = false")
    parser.add_argument(
        "--prior", action="store_true", help="print the medians that models.flagging.PRIOR rounds"
    )
    parser.add_argument("--quick", action="store_true", help="one seed, 3,000 rows a set")
    args = parser.parse_args()
    quiet(allow_download=False)
    began = time.monotonic()
    if args.quick:
        args.seeds = args.seeds[:1]
    args.cache.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder(ENCODER, max_tokens=128)
    classifier_int8(encoder)
    runs = []
    for name in args.sets:
        for seed in args.seeds:
            file = args.cache / f"{_key(args, name, seed)}.parquet"
            if not file.exists():
                start = time.monotonic()
                run_one(args, name, seed, encoder).write_parquet(file)
                print(f"{name} seed {seed}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            runs.append((name, seed, pl.read_parquet(file)))
    if args.prior:
        return print_prior(runs)
    result = summary(args, runs)
    result["about"] = {
        "date": datetime.now(UTC).date().isoformat(), "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "seeds": args.seeds, "part": args.part, "rulings_share": args.rulings_share, "quick": args.quick,
        "unseen_languages": args.unseen_languages, "moderator_history": not args.no_history,
        "seconds_this_call": round(time.monotonic() - began),
    }  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_table(result)


def _key(args: argparse.Namespace, name: str, seed: int) -> str:
    asked = [name, seed, args.rulings_share, args.quick, sorted(args.unseen_languages), args.no_history]
    return f"{name}-{seed}-{hashlib.blake2b(json.dumps(asked).encode(), digest_size=4).hexdigest()}"


def classifier_int8(encoder: Encoder) -> EncoderClassifier:
    """The encoder in 8 bits, as the product judges with it."""
    model = EncoderClassifier(encoder, {})
    model.use_int8()
    return model


def share_of(names: list[str], salt: str) -> Floats:
    """A number in [0, 1) for each name, the same for the same salt."""
    marks = (hashlib.blake2b(f"{salt}|{name}".encode(), digest_size=8).digest() for name in names)
    return np.array([int.from_bytes(mark, "big") / 2**64 for mark in marks])


def run_one(args: argparse.Namespace, name: str, seed: int, encoder: Encoder) -> pl.DataFrame:
    """Every method's score of every decision: a row a decision, `wrong`, `ruled`, `part`, `support`, a column a method."""
    limit = 3_000 if args.quick else None
    data = adapt(args.data / SETS[name].file, areas=(), languages=(), limit=limit, seed=seed)
    rows = data.decisions.with_columns(
        pl.col("case_id").alias("decision_id"),
        pl.lit(1.0).alias("weight"),
        pl.col("truth").alias("ruled_label"),
    )
    given = rows["group"].to_list()
    final = share_of(given, f"final|{name}") < 0.5
    ruled = ~final & (share_of(given, f"ruled|{name}|{seed}") < args.rulings_share / 0.5)
    if args.unseen_languages:
        away = rows["language"].is_in(args.unseen_languages).to_numpy()
        ruled &= ~away
    wrong = (rows["label"] != rows["truth"]).to_numpy().astype(float)
    vectors = encoded(args.cache, name, rows["text"], encoder)
    fold = group_folds(groups(rows["text"].to_list(), given), seed)
    policy = parse_policy(data.policy)
    bundle, odds = ours(rows, vectors, ruled, wrong, fold, policy, encoder, use_history=not args.no_history)
    found = peers(rows, vectors, ruled, wrong, fold, policy, bundle, seed)
    found["evenhand"] = odds
    unseen = ~ruled if not args.unseen_languages else ~ruled & away
    frame = pl.DataFrame({"wrong": wrong, "ruled": ruled, "unseen": unseen, "final": final, **found})
    return frame.with_columns(
        rows["group"], rows["language"], rows["area"],
        pl.Series("support", bundle.flagger.support(rows["area"].to_list(), rows["language"].to_list())),
        pl.lit(json.dumps(prior_terms(bundle.flagger))).alias("coef"),
    )  # fmt: skip


def prior_terms(flagger: Flagger) -> list[float]:
    """Intercept and the evidence's coefficients, for `--prior`."""
    return [flagger.bias, *flagger.coef[: FEATURES.index("moderator_history")].tolist()]


def encoded(cache: Path, name: str, texts: pl.Series, encoder: Encoder) -> NDArray[np.float32]:
    """Base vectors of the texts, shape (n, dim), kept in the cache."""
    file, order = cache / f"{name}.vectors.npy", cache / f"{name}.texts.parquet"
    known = pl.read_parquet(order)["text"] if order.exists() else pl.Series("text", [], pl.String)
    place = {text: i for i, text in enumerate(known)}
    fresh = [text for text in texts.unique(maintain_order=True) if text not in place]
    vectors = np.load(file) if order.exists() else np.empty((0, encoder.dim), np.float32)
    if fresh:
        vectors = np.concatenate([vectors, encoder.pooled(fresh)])
        place |= {text: len(known) + i for i, text in enumerate(fresh)}
        np.save(file, vectors)
        pl.DataFrame({"text": [*known, *fresh]}).write_parquet(order)
    return np.asarray(vectors[[place[text] for text in texts]])


def ours(
    rows: pl.DataFrame,
    vectors: NDArray[np.float32],
    ruled: NDArray[np.bool_],
    wrong: Floats,
    fold: NDArray[np.int64],
    policy: PolicyVersion,
    encoder: Encoder,
    *,
    use_history: bool,
) -> tuple[ModelBundle, Floats]:
    """Evenhand's bundle, taught by the rulings, and its p_overturn of every decision."""
    heads, where = heads_of([policy])
    key_of = {key.rpartition("/")[2]: head for key, head in where.items()}
    placed = rows.with_columns(pl.col("area").replace_strict(key_of).alias("head"))
    labels = {key: spec.labels for key, spec in heads.items()}
    by_text = dict(zip(rows["text"], range(rows.height), strict=True))
    decided, decided_vectors = decided_lessons(
        placed, labels, lambda texts: vectors[[by_text[text] for text in texts]]
    )
    here = np.flatnonzero(ruled)
    gold = placed[here]
    truth = [labels[head].index(label) for head, label in gold.select("head", "truth").iter_rows()]
    taught = Taught(
        gold["text"].to_list(), vectors[here], gold["head"].to_list(), np.array(truth, np.int64), np.ones(len(here)),
        fold[here],
    )  # fmt: skip
    evidence, left_out = Evidence.fit(heads, taught, decided, decided_vectors)
    bundle = ModelBundle(
        manifest=Manifest(
            policy_versions=(policy.version,), heads=where, encoder=encoder.name, encoder_revision=encoder.revision,
            data_hash="", n_rulings=len(here), gold_counts={}, code_version="", trained_at="",
        ),
        classifier=EncoderClassifier(encoder, heads),
        base=encoder,
        evidence=evidence,
        flagger=Flagger(use_history=use_history),
        precedents=Precedents(np.empty((0, encoder.dim), np.float32), pl.DataFrame()),
    )  # fmt: skip
    both = np.concatenate([vectors, vectors], axis=1)
    nobody = np.zeros(len(here), bool)
    fit_flagger(bundle, gold, both[here], wrong[here], fold[here], nobody, left_out)
    p = np.empty(rows.height)
    for part in np.array_split(np.arange(rows.height), max(1, rows.height // 20_000)):
        some = rows[part]
        p[part] = bundle.flagger.p_overturn(bundle.features(some, bundle.view(some, both[part])))
    return bundle, p


def peers(
    rows: pl.DataFrame,
    vectors: NDArray[np.float32],
    ruled: NDArray[np.bool_],
    wrong: Floats,
    fold: NDArray[np.int64],
    policy: PolicyVersion,
    bundle: ModelBundle,
    seed: int,
) -> dict[str, Floats]:
    """Each peer's score, head by head, as a probability: Platt-scaled on the rulings, which keeps every head's ranking.

    One scale for all heads of a set keeps the ranking across heads too.
    """
    area = rows["area"].to_numpy()
    raw: dict[str, Floats] = {}
    for one in policy.areas:
        here = np.flatnonzero(area == one.name)
        if not len(here):
            continue
        part = rows[here]
        names = list(one.label_names)
        grams = bundle.baseline.features(part["text"].to_list())
        long = np.linalg.norm(vectors[here], axis=1, keepdims=True)
        dense = vectors[here] / long
        dense = np.asarray((dense - dense.mean(0)) * 20, np.float32)
        key = bundle.head_key(policy.version, one.name)
        by_vector = bundle.evidence.vector_by_rulings
        mine = [
            bundle.baseline.head_proba(grams, key),
            by_vector.head_proba(by_vector.features(vectors[here]), key),
        ]
        head = Head(
            grams, dense, np.array([names.index(x) for x in part["label"]]),
            np.array([names.index(x) for x in part["truth"]]), ruled[here], fold[here], len(names),
            np.mean(mine, axis=0),
        )  # fmt: skip
        for method, score in scores(head, seed).items():
            raw.setdefault(method, np.full(len(area), np.nan))[here] = score
    found = {}
    for method, score in raw.items():
        filled = np.where(np.isnan(score), np.nanmin(score), score)
        spread = filled[ruled].std() or 1.0
        odds = (filled - filled[ruled].mean()) / spread + logit((wrong[ruled].sum() + 1) / (ruled.sum() + 2))
        a, b = recalibrate(odds[ruled], wrong[ruled], np.ones(int(ruled.sum())))
        found[method] = np.asarray(expit(a + max(b, 1e-6) * odds))
    return found


def judged(args: argparse.Namespace, frame: pl.DataFrame) -> pl.DataFrame:
    """The decisions that count: unseen, of the part asked for."""
    return frame.filter(pl.col("unseen") & (pl.col("final") == (args.part == "final")))


def methods_of(frame: pl.DataFrame) -> list[str]:
    """The methods that scored this run."""
    known = ("wrong", "ruled", "unseen", "final", "group", "language", "area", "support", "coef")
    return [name for name in frame.columns if name not in known]


def summary(args: argparse.Namespace, runs: list[tuple[str, int, pl.DataFrame]]) -> dict[str, Any]:
    """Metrics by set (mean over seeds), macro over sets, intervals of the lead over the best peer, slices, calibration."""
    sets: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _, _ in runs):
        mine = [(seed, judged(args, frame)) for set_name, seed, frame in runs if set_name == name]
        methods = sorted(set.intersection(*(set(methods_of(frame)) for _, frame in mine)))
        each = {
            method: [evaluate(frame["wrong"].to_numpy(), frame[method].to_numpy()) for _, frame in mine]
            for method in methods
        }
        table = {method: {metric: _mean(each[method], metric) for metric in SHOWN} for method in methods}
        best = max(
            (m for m in methods if m not in ("evenhand", "random")), key=lambda m: table[m]["ap"] or 0.0
        )
        sets[name] = {
            "n": int(np.mean([frame.height for _, frame in mine])),
            "error_rate": float(np.mean([frame["wrong"].mean() for _, frame in mine])),
            "rulings": int(np.mean([frame["ruled"].sum() for s, _, frame in runs if s == name])),
            "methods": table,
            "best_peer": best,
            "lead": lead(mine, best),
            "ece_of_a_perfect_model": perfect_ece(mine),
            "slices": slices(mine, best),
            "support": dict(pl.concat([frame for _, frame in mine])["support"].value_counts().iter_rows()),
        }
    common = sorted(set.intersection(*(set(found["methods"]) for found in sets.values())))
    macro = {
        method: {
            metric: _mean([found["methods"][method] for found in sets.values()], metric) for metric in SHOWN
        }
        for method in common
    }
    return {"macro": macro, "sets": sets}


def _mean(found: list[dict[str, Any]], metric: str) -> float | None:
    values = [one[metric] for one in found if one[metric] is not None]
    return round(float(np.mean(values)), 4) if values else None


def lead(mine: list[tuple[int, pl.DataFrame]], best: str, repeats: int = 200) -> dict[str, float]:
    """Average precision of Evenhand less the best peer's, 95% interval by bootstrap over groups, seeds pooled by mean."""
    differences = []
    for seed, frame in mine:
        rng = np.random.default_rng(seed)
        wrong, ours_, peer = (frame[name].to_numpy() for name in ("wrong", "evenhand", best))
        _, place = np.unique(frame["group"].to_numpy(), return_inverse=True)
        order = np.argsort(place, kind="stable")
        edges = np.searchsorted(place[order], np.arange(place.max() + 2))
        drawn = []
        for _ in range(repeats):
            picked = rng.integers(0, len(edges) - 1, len(edges) - 1)
            at = np.concatenate([order[edges[i] : edges[i + 1]] for i in picked])
            drawn.append(average_precision(wrong[at], ours_[at]) - average_precision(wrong[at], peer[at]))
        differences.append(drawn)
    mean = np.nanmean(np.array(differences), axis=0)
    low, high = np.nanquantile(mean, [0.025, 0.975])
    return {
        "ap": round(float(np.nanmean(mean)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def perfect_ece(mine: list[tuple[int, pl.DataFrame]], repeats: int = 50) -> float:
    """ECE that a perfectly calibrated model with these p would show at this size: the floor that noise sets."""
    found = []
    for seed, frame in mine:
        rng, p = np.random.default_rng(seed), frame["evenhand"].to_numpy()
        found += [ece((rng.random(len(p)) < p).astype(float), p) for _ in range(repeats)]
    return round(float(np.mean(found)), 4)


def slices(mine: list[tuple[int, pl.DataFrame]], best: str) -> dict[str, Any]:
    """Evenhand and the best peer by area and by language, where there are ENOUGH unseen decisions; mean over seeds."""
    found: dict[str, Any] = {}
    for column in ("area", "language"):
        for value in mine[0][1][column].unique().sort():
            parts = [frame.filter(pl.col(column) == value) for _, frame in mine]
            if min(part.height for part in parts) < (ENOUGH if column == "area" else 500):
                continue
            for method in ("evenhand", best):
                each = [evaluate(part["wrong"].to_numpy(), part[method].to_numpy()) for part in parts]
                found.setdefault(f"{column} {value}", {})[method] = {m: _mean(each, m) for m in SHOWN}
    return found


def print_prior(runs: list[tuple[str, int, pl.DataFrame]]) -> None:
    """Medians over sets of the coefficients that the rulings of the choosing half give."""
    by_set: dict[str, list[list[float]]] = {}
    for name, _, frame in runs:
        by_set.setdefault(name, []).append(json.loads(frame["coef"][0]))
    means = np.array([np.mean(found, axis=0) for found in by_set.values()])
    for term, value in zip(("intercept", *FEATURES), np.median(means, axis=0), strict=False):
        print(f"{term:18} {value:6.2f}")


def print_table(result: dict[str, Any]) -> None:
    """Macro averages, then each set's best."""
    macro = result["macro"]
    print(f"{'method':44}" + "".join(f"{metric:>12}" for metric in SHOWN))
    for method in sorted(macro, key=lambda m: -(macro[m]["ap"] or 0)):
        print(f"{method:44}" + "".join(f"{macro[method][metric]:12.3f}" for metric in SHOWN))
    for name, found in result["sets"].items():
        mine, peer = found["methods"]["evenhand"], found["methods"][found["best_peer"]]
        print(
            f"{name:24} errors {found['error_rate']:.3f} AP {mine['ap']:.3f}, best peer {found['best_peer']}"
            f" {peer['ap']:.3f}, lead {found['lead']}; lift@5 {mine['lift_at_5']}, ECE {mine['ece']}"
            f" (noise floor {found['ece_of_a_perfect_model']})"
        )


if __name__ == "__main__":
    main()
