"""From readings and context to a calibrated p_overturn, with reasons.

The second stage is a small ridge logistic regression on readings by models that had not seen the ruling it
learns from, with histories that left the ruling's fold out; what it says of rulings outside its own fold is
then calibrated (Platt), and the fine-tuned encoder corrects it as far as the rulings held back from the
fine-tuning bear out. The ridge pulls toward a prior that works without a single ruling (`PRIOR`), so with few
rulings a flag rests on what moderators decide on similar texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from evenhand.statistics.estimator import recalibrate
from evenhand.workspace.files import write_text
from models.labels.readings import READINGS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEATURES = (
    *READINGS,  # log odds against the decided label, by four models that have not seen the decision
    "moderator_history",  # shrunken log odds of overturn of the moderator on this label, less the mean's
    "label_history",  # the same for area and decided label
    "language_history",  # the same for area, decided label and language
    "clean",  # +1/2 where the decision was "not violating", -1/2 elsewhere: errors of the two kinds differ
    "tuned",  # log odds against the decided label by the fine-tuned encoder; NaN where it learned the ruling
)
_CLEAN, _TUNED = FEATURES.index("clean"), FEATURES.index("tuned")
_SECOND = _CLEAN  # columns before "clean", each also multiplied by it
#: Coefficients before any ruling, rounded medians over seven public sets (`benchmarks/flagging.py --prior`).
PRIOR = {"rulings_char": 0.2, "rulings_vector": 0.2, "decisions_char": 0.45, "decisions_vector": 0.45}
PRIOR_BIAS = -1.2
_RIDGE = 3.0  # precision of a standardised coefficient around its prior
_SHRINK = 8.0  # rulings that a history must outweigh
_TUNED_PRECISION = (4.0, 11.0)  # of the correction's intercept and slope around 0
SUPPORTED = (100, 10)  # rulings and overturns of an area in a language from which support is good


@dataclass(frozen=True)
class LabelView:
    """What the label models say of n decisions."""

    encoder: list[Floats]  # by the fine-tuned encoder: one probability a label of the decision's head
    baseline: list[Floats]  # by the character model taught by rulings
    odds: Floats  # log odds against the decided label, shape (n, READINGS)
    decided: Ints  # index of the decided label, shape (n,)


@dataclass
class Flagger:
    """The second stage: coefficients and histories."""

    coef: Floats = field(default_factory=lambda: _prior())
    bias: float = PRIOR_BIAS
    level: float = 0.0  # Platt: log odds = level + slope * second stage
    slope: float = 1.0
    tuned_centre: float = 0.0
    tuned_level: float = 0.0
    tuned_slope: float = 0.0
    base_rate: float = 0.08
    use_history: bool = True  # False: a moderator's history moves no rank and is among no reasons
    # (ruled, overturned) by "moderator|area/label", "area/label", "area/label/language", "area/language"
    moderators: dict[str, tuple[int, int]] = field(default_factory=dict)
    labels: dict[str, tuple[int, int]] = field(default_factory=dict)
    languages: dict[str, tuple[int, int]] = field(default_factory=dict)
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def learn_histories(self, decisions: pl.DataFrame, wrong: Floats) -> None:
        """Count rulings and overturns.

        `decisions` has moderator_id, area, label, language, in the order of `wrong`.
        """
        self.base_rate = float((wrong.sum() + 1) / (len(wrong) + 12))
        keys = _keys(decisions)
        self.moderators = _counts(keys["moderators"], wrong) if self.use_history else {}
        self.labels = _counts(keys["labels"], wrong)
        self.languages = _counts(keys["languages"], wrong)
        self.known = _counts(keys["known"], wrong)

    def features(self, view: LabelView, decisions: pl.DataFrame, clean: NDArray[np.bool_]) -> Floats:
        """The feature matrix, shape (n, FEATURES).

        `decisions` as in `learn_histories`, same order as the view. `clean`: where the decided label is "not
        violating".
        """
        keys = _keys(decisions)
        own = np.array([row[i] for row, i in zip(view.encoder, view.decided, strict=True)])
        columns = [
            *view.odds.T,
            self._history(self.moderators, keys["moderators"]),
            self._history(self.labels, keys["labels"]),
            self._history(self.languages, keys["languages"]),
            clean - 0.5,
            -logit(np.clip(own, 1e-3, 1 - 1e-3)),
        ]
        return np.stack(columns, axis=1)

    def _history(self, counts: Mapping[str, tuple[int, int]], names: Sequence[str]) -> Floats:
        """Log odds of the shrunken overturn rate, less the mean's; 0 for the unknown."""
        level = float(logit(self.base_rate))
        rates = {
            name: float(logit((wrong + _SHRINK * self.base_rate) / (n + _SHRINK))) - level
            for name, (n, wrong) in counts.items()
        }
        return np.array([rates.get(name, 0.0) for name in names])

    def fit(self, features: Floats, wrong: Floats, weight: Floats, fold: Ints) -> None:
        """Fit on rulings.

        They are given by their `features`, from what left each ruling's fold out, 1 where overturned, weight,
        fold. `weight` is 1 / inclusion probability for drawn cases, so that p_overturn is calibrated for the
        population and not for the batch.
        """
        w = weight * len(weight) / weight.sum()
        x = _design(features)
        fits, unseen = [], np.empty(len(wrong))
        for k in np.unique(fold):
            out = fold == k
            bias, coef = _ridge(x[~out], wrong[~out], w[~out])
            unseen[out] = bias + x[out] @ coef
            fits.append((bias, coef))
        self.bias = float(np.mean([bias for bias, _ in fits]))
        self.coef = np.mean([coef for _, coef in fits], axis=0)
        self.level, self.slope = recalibrate(unseen, wrong, w)
        self._fit_tuned(self.level + self.slope * unseen, features[:, _TUNED], wrong, w)

    def _fit_tuned(self, offset: Floats, tuned: Floats, wrong: Floats, w: Floats) -> None:
        """How far the fine-tuned encoder corrects the log odds `offset`, by rulings it did not learn."""
        here = np.isfinite(tuned)
        self.tuned_centre, self.tuned_level, self.tuned_slope = 0.0, 0.0, 0.0
        if not here.any():
            return
        self.tuned_centre = float(np.average(tuned[here], weights=w[here]))
        x = np.stack([np.ones(here.sum()), tuned[here] - self.tuned_centre], axis=1)
        precision = np.array(_TUNED_PRECISION)
        found = _logistic(x, wrong[here], w[here], offset[here], np.zeros(2), precision)
        self.tuned_level, self.tuned_slope = float(found[0]), float(found[1])

    def p_overturn(self, features: Floats) -> Floats:
        """Calibrated probability of an overturn, shape (n,), in (0, 1)."""
        second = self.level + self.slope * (self.bias + _design(features) @ self.coef)
        tuned = np.nan_to_num(features[:, _TUNED], nan=self.tuned_centre) - self.tuned_centre
        return np.asarray(expit(second + self.tuned_level + self.tuned_slope * tuned))

    def support(self, areas: Sequence[str], languages: Sequence[str]) -> list[str]:
        """How much gold stands behind each decision's area in its language.

        It is `none`, `thin` or `good` (SUPPORTED).
        """
        found = []
        for area, language in zip(areas, languages, strict=True):
            n, wrong = self.known.get(f"{area}/{language}", (0, 0))
            good = n >= SUPPORTED[0] and wrong >= SUPPORTED[1]
            found.append("good" if good else "thin" if n else "none")
        return found

    def reasons(
        self, decisions: pl.DataFrame, predicted: Sequence[str], p_predicted: Floats, features: Floats
    ) -> list[str]:
        """One line a decision, reasons separated by "; ", strongest kind first. Only what is true is said."""
        column = {name: features[:, i] for i, name in enumerate(FEATURES)}
        counts = self._history_counts(column["clean"])
        times = {name: np.exp(column[name]) for name in ("moderator_history", "label_history")}
        p_alone = expit(-column["decisions_char"])
        ruled = [self.moderators.get(key, (0, 0))[0] for key in _keys(decisions)["moderators"]]
        lines = []
        rows = zip(
            decisions["label"],
            predicted,
            p_predicted,
            decisions["moderator_id"],
            decisions["area"],
            strict=True,
        )
        for i, (label, reads, p, moderator, area) in enumerate(rows):
            said = []
            if reads != label:
                said.append(f"reads like {reads} ({p:.0%}), decided {label}")
            elif p < 0.7:
                said.append(f"close call: {label} at {p:.0%}")
            if p_alone[i] < 0.25:
                said.append(f"similar texts are seldom decided {label} ({p_alone[i]:.0%})")
            if counts[i] and times["moderator_history"][i] >= 1.5 and ruled[i] >= 5:
                said.append(
                    f"odds of overturn for moderator {moderator} on {label} are"
                    f" {times['moderator_history'][i]:.1f}x the average"
                )
            if times["label_history"][i] >= 1.5:
                said.append(
                    f"{label} in {area} is overturned {times['label_history'][i]:.1f}x as often as average (odds)"
                )
            lines.append("; ".join(said) or "nothing stands out")
        return lines

    def _history_counts(self, clean: Floats) -> NDArray[np.bool_]:
        """Where a bad history of the moderator raises p_overturn."""
        place = FEATURES.index("moderator_history")
        return np.asarray(self.coef[place] + clean * self.coef[_SECOND + place] > 0)

    def save(self, folder: Path) -> None:
        """Write `flagger.json`."""
        raw = asdict(self)
        raw["coef"] = dict(zip(_terms(), raw["coef"].tolist(), strict=True))
        write_text(folder / "flagger.json", json.dumps(raw, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Flagger:
        """Read what `save` wrote."""
        raw: dict[str, Any] = json.loads((folder / "flagger.json").read_text(encoding="utf-8"))
        raw["coef"] = np.array([raw["coef"][term] for term in _terms()])
        for name in ("moderators", "labels", "languages", "known"):
            raw[name] = {key: (int(n), int(k)) for key, (n, k) in raw[name].items()}
        return cls(**raw)


def _terms() -> list[str]:
    names = FEATURES[:_SECOND]
    return [*names, *(f"{name} x clean" for name in names), "clean"]


def _prior() -> Floats:
    return np.array([PRIOR.get(term, 0.0) for term in _terms()])


def _design(features: Floats) -> Floats:
    """Second-stage columns: readings and histories, the same times "clean", and "clean"."""
    first, clean = features[:, :_SECOND], features[:, [_CLEAN]]
    return np.concatenate([first, first * clean, clean], axis=1)


def _ridge(x: Floats, wrong: Floats, w: Floats) -> tuple[float, Floats]:
    """Intercept and coefficients, pulled toward the prior by as much as a standardised column would be."""
    spread = x.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    ones = np.ones((len(x), 1))
    start = np.concatenate([[PRIOR_BIAS], _prior() * scale])
    precision = np.concatenate([[0.05], np.full(x.shape[1], _RIDGE)])
    found = _logistic(np.concatenate([ones, x / scale], axis=1), wrong, w, np.zeros(len(x)), start, precision)
    return float(found[0]), found[1:] / scale


def _logistic(
    x: Floats, wrong: Floats, w: Floats, offset: Floats, prior: Floats, precision: Floats
) -> Floats:
    """Weighted logistic regression with a normal prior on each coefficient, shape (columns,)."""

    def loss(beta: Floats) -> tuple[float, Floats]:
        eta, away = offset + x @ beta, beta - prior
        value = -(w * (wrong * log_expit(eta) + (1 - wrong) * log_expit(-eta))).sum()
        gradient = x.T @ (w * (expit(eta) - wrong)) + precision * away
        return float(value + (precision * away**2).sum() / 2), gradient

    return np.asarray(minimize(loss, prior, jac=True, method="L-BFGS-B").x)


def _keys(decisions: pl.DataFrame) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"moderators": [], "labels": [], "languages": [], "known": []}
    rows = decisions.select("moderator_id", "area", "label", "language").iter_rows()
    for moderator, area, label, language in rows:
        found["moderators"].append(f"{moderator}|{area}/{label}")
        found["labels"].append(f"{area}/{label}")
        found["languages"].append(f"{area}/{label}/{language}")
        found["known"].append(f"{area}/{language}")
    return found


def _counts(names: Sequence[str], wrong: Floats) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, bad in zip(names, wrong, strict=True):
        n, k = found.get(name, (0, 0))
        found[name] = (n + 1, k + int(bad))
    return found
