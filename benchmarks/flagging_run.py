"""One run of the flagging benchmark: every method's score of every decision of one set and seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from flagging_peers import Head, scores
from numpy.typing import NDArray
from public_sets import SETS
from scipy.special import expit, logit
from votes import adapt

from evenhand.records.policy import PolicyVersion, parse_policy
from evenhand.similar.groups import groups
from evenhand.statistics.estimator import recalibrate
from evenhand.workspace.files import atomic_path
from models.bundle import Manifest, ModelBundle
from models.encoders.encoder import Encoder, load_encoder
from models.explain.precedents import Precedents
from models.flagger import FEATURES, Flagger
from models.labels.classifier import EncoderClassifier, build_heads
from models.labels.readings import Lessons, Readings
from training.second_stage import decided_lessons, fit_flagger, group_folds

Floats = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]
CODE = [  # what a run's scores depend on
    *(
        file
        for room in ("models", "training", "evenhand/similar", "evenhand/statistics")
        for file in sorted((ROOT / room).rglob("*.py"))
    ),
    *(
        ROOT / "benchmarks" / f"{name}.py"
        for name in ("flagging_run", "flagging_peers", "votes", "public_sets")
    ),
]

ANSWERS = hashlib.blake2b(b"".join(file.read_bytes() for file in CODE), digest_size=4).hexdigest()
ENCODER = "bundled:multilingual-e5-small"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run computes."""

    name: str  # of the set
    seed: int
    rulings_share: float = 0.3  # of all groups; at most 0.5
    limit: int | None = None  # rows
    unseen_languages: tuple[str, ...] = ()  # no ruling in these; only they are judged
    history: bool = True  # as [model] moderator_history


def cached_run(asked: Asked, data: Path, cache: Path, encoder: Encoder) -> pl.DataFrame:
    """`run_one`, kept in the cache folder; computed again when the question or the code has changed."""
    mark = hashlib.blake2b(json.dumps(asdict(asked)).encode(), digest_size=4).hexdigest()
    file = cache / f"{asked.name}-{asked.seed}-{mark}-{ANSWERS}.parquet"
    if not file.exists():
        with atomic_path(file) as part:
            run_one(asked, data, cache, encoder).write_parquet(part)
    return pl.read_parquet(file)


def int8_encoder() -> Encoder:
    """The base encoder in 8 bits, as the product judges with it."""
    encoder = load_encoder(ENCODER, max_tokens=128)
    EncoderClassifier(encoder, {}).use_int8()
    return encoder


def share_of(names: list[str], salt: str) -> Floats:
    """A number in [0, 1) for each name; the same salt gives the same numbers."""
    marks = (hashlib.blake2b(f"{salt}|{name}".encode(), digest_size=8).digest() for name in names)
    return np.array([int.from_bytes(mark, "big") / 2**64 for mark in marks])


def run_one(asked: Asked, folder: Path, cache: Path, encoder: Encoder) -> pl.DataFrame:
    """Every method's score of every decision: one row per decision, one column per method.

    More columns are `wrong`, `ruled`, `part` and `support`.
    """
    name, seed = asked.name, asked.seed
    data = adapt(folder / SETS[name].file, areas=(), languages=(), limit=asked.limit, seed=seed)
    rows = data.decisions.with_columns(
        pl.col("case_id").alias("decision_id"),
        pl.lit(1.0).alias("weight"),
        pl.col("truth").alias("ruled_label"),
    )
    given = rows["group"].to_list()
    final = share_of(given, f"final|{name}") < 0.5
    ruled = ~final & (share_of(given, f"ruled|{name}|{seed}") < asked.rulings_share / 0.5)
    if asked.unseen_languages:
        away = rows["language"].is_in(asked.unseen_languages).to_numpy()
        ruled &= ~away
    wrong = (rows["label"] != rows["truth"]).to_numpy().astype(float)
    vectors = encoded(cache, name, rows["text"], encoder)
    fold = group_folds(groups(rows["text"].to_list(), given), seed)
    policy = parse_policy(data.policy)
    bundle, odds = ours(rows, vectors, ruled, wrong, fold, policy, encoder, use_history=asked.history)
    found = peers(rows, vectors, ruled, wrong, fold, policy, bundle, seed)
    found["evenhand"] = odds
    unseen = ~ruled if not asked.unseen_languages else ~ruled & away
    frame = pl.DataFrame({"wrong": wrong, "ruled": ruled, "unseen": unseen, "final": final, **found})
    return frame.with_columns(
        rows["group"],
        rows["language"],
        rows["area"],
        pl.Series("support", bundle.flagger.support(rows["area"].to_list(), rows["language"].to_list())),
        pl.lit(json.dumps(prior_terms(bundle.flagger))).alias("coef"),
    )


def prior_terms(flagger: Flagger) -> list[float]:
    """The intercept and the coefficients of the readings, for `--prior`."""
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
    """Evenhand's bundle, trained on the rulings, and its p_overturn of every decision."""
    heads, where = build_heads([policy])
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
    taught = Lessons(
        gold["text"].to_list(),
        vectors[here],
        gold["head"].to_list(),
        np.array(truth, np.int64),
        np.ones(len(here)),
        fold[here],
    )
    readings, left_out = Readings.fit(heads, taught, decided, decided_vectors)
    bundle = ModelBundle(
        manifest=Manifest(
            policy_versions=(policy.version,),
            heads=where,
            encoder=encoder.name,
            encoder_revision=encoder.revision,
            data_hash="",
            n_rulings=len(here),
            gold_counts={},
            code_version="",
            trained_at="",
        ),
        classifier=EncoderClassifier(encoder, heads),
        base=encoder,
        readings=readings,
        flagger=Flagger(use_history=use_history),
        precedents=Precedents(np.empty((0, encoder.dim), np.float32), pl.DataFrame()),
    )
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
    """Each peer's score as a probability, by Platt scaling on the rulings of each head.

    The ranking within a head does not change. One scale for all heads of a set keeps the ranking across
    heads.
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
        by_vector = bundle.readings.vector_by_rulings
        mine = [
            bundle.baseline.head_proba(grams, key),
            by_vector.head_proba(by_vector.features(vectors[here]), key),
        ]
        head = Head(
            grams,
            dense,
            np.array([names.index(x) for x in part["label"]]),
            np.array([names.index(x) for x in part["truth"]]),
            ruled[here],
            fold[here],
            len(names),
            np.mean(mine, axis=0),
        )
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
