"""From label probabilities and context to a calibrated p_overturn, with reasons.

The second stage is a small ridge logistic regression. It is fitted on rulings that neither label model has seen, so that
the probabilities it learns from look like those it will meet. Moderator and label histories come from the other rulings.
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

from evenhand.files import write_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEATURES = (
    "encoder_odds",  # log odds of the decided label by the encoder
    "baseline_odds",  # the same by the character model
    "encoder_margin",  # log odds of the best other label against the decided one
    "baseline_margin",
    "peer_odds",  # log odds against the decided label, by what moderators decide on similar texts
    "peer_margin",
    "moderator_history",  # shrunken log odds of overturn, relative to the mean
    "label_history",  # the same for area and decided label
    "length",
)
_SHRINK = 8.0  # rulings that a moderator's or label's history must outweigh
_RIDGE = 1.0


@dataclass(frozen=True)
class LabelView:
    """What the label models say of n decisions: a list of n arrays, one probability a label of the decision's head."""

    encoder: list[Floats]
    baseline: list[Floats]
    peers: list[Floats]  # what other moderators decide on similar texts
    decided: Ints  # index of the decided label, shape (n,)


@dataclass
class Flagger:
    """The second stage: standardised features, coefficients, histories."""

    mean: Floats = field(default_factory=lambda: np.zeros(len(FEATURES)))
    scale: Floats = field(default_factory=lambda: np.ones(len(FEATURES)))
    coef: Floats = field(default_factory=lambda: np.zeros(len(FEATURES)))
    bias: float = -2.5
    base_rate: float = 0.08
    use_history: bool = True  # False: a moderator's history moves no rank and is among no reasons
    moderators: dict[str, tuple[int, int]] = field(default_factory=dict)  # id -> (ruled, overturned)
    labels: dict[str, tuple[int, int]] = field(default_factory=dict)  # "area/label" -> (ruled, overturned)

    def learn_histories(self, moderators: Sequence[str], keys: Sequence[str], wrong: Floats) -> None:
        """Count rulings and overturns by moderator and by "area/label", from rulings outside the fitting set."""
        self.base_rate = float((wrong.sum() + 1) / (len(wrong) + 2)) if len(wrong) else 0.08
        self.moderators = _counts(moderators, wrong) if self.use_history else {}
        self.labels = _counts(keys, wrong)

    def features(self, view: LabelView, decisions: pl.DataFrame) -> Floats:
        """The feature matrix, shape (n, FEATURES); `decisions` has text, area, label, moderator_id, in the same order."""
        keys = [f"{a}/{b}" for a, b in zip(decisions["area"], decisions["label"], strict=True)]
        columns = [
            _odds(view.encoder, view.decided),
            _odds(view.baseline, view.decided),
            _margin(view.encoder, view.decided),
            _margin(view.baseline, view.decided),
            _odds(view.peers, view.decided),
            _margin(view.peers, view.decided),
            self._history(self.moderators, decisions["moderator_id"].to_list()),
            self._history(self.labels, keys),
            np.log1p(decisions["text"].str.len_chars().to_numpy().astype(float)),
        ]
        return np.stack(columns, axis=1)

    def _history(self, counts: Mapping[str, tuple[int, int]], names: Sequence[str]) -> Floats:
        """Log odds of the shrunken overturn rate, less the mean's; 0 for the unknown."""
        rates = {
            name: (wrong + _SHRINK * self.base_rate) / (n + _SHRINK) for name, (n, wrong) in counts.items()
        }
        level = float(logit(self.base_rate))
        return np.array([float(logit(rates[name])) - level if name in rates else 0.0 for name in names])

    def fit(self, features: Floats, wrong: Floats, weight: Floats) -> None:
        """Fit coefficients and intercept by weighted ridge logistic regression; weights are rescaled to mean 1.

        `weight` is 1 / inclusion probability for drawn cases, so that p_overturn is calibrated for the population and not
        for the batch.
        """
        w = weight * len(weight) / weight.sum()
        self.mean = np.average(features, axis=0, weights=w)
        spread = np.sqrt(np.average((features - self.mean) ** 2, axis=0, weights=w))
        self.scale = np.where(spread > 1e-6, spread, 1.0)
        x = (features - self.mean) / self.scale

        def loss(beta: Floats) -> tuple[float, Floats]:
            eta = beta[0] + x @ beta[1:]
            residual = w * (expit(eta) - wrong)
            value = -(w * (wrong * log_expit(eta) + (1 - wrong) * log_expit(-eta))).sum()
            gradient = np.concatenate([[residual.sum()], x.T @ residual + _RIDGE * beta[1:]])
            return float(value + _RIDGE * (beta[1:] ** 2).sum() / 2), gradient

        start = np.zeros(x.shape[1] + 1)
        start[0] = logit(np.clip(np.average(wrong, weights=w), 0.005, 0.995))
        found = minimize(loss, start, jac=True, method="L-BFGS-B")
        self.bias, self.coef = float(found.x[0]), found.x[1:]

    def p_overturn(self, features: Floats) -> Floats:
        """Calibrated probability of an overturn, shape (n,), in (0, 1)."""
        return np.asarray(expit(self.bias + ((features - self.mean) / self.scale) @ self.coef))

    def reasons(
        self, decisions: pl.DataFrame, predicted: Sequence[str], p_predicted: Floats, features: Floats
    ) -> list[str]:
        """One line a decision, reasons separated by "; ", strongest kind first. Only what is true is said."""
        history = {name: n for name, (n, _) in self.moderators.items()}
        times_moderator = np.exp(features[:, FEATURES.index("moderator_history")])
        times_label = np.exp(features[:, FEATURES.index("label_history")])
        p_alone = expit(-features[:, FEATURES.index("peer_odds")])
        uses_history = self.coef[FEATURES.index("moderator_history")] > 0
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
            if uses_history and times_moderator[i] >= 1.5 and history.get(moderator, 0) >= 5:
                said.append(
                    f"odds of overturn for moderator {moderator} are {times_moderator[i]:.1f}x the average"
                )
            if times_label[i] >= 1.5:
                said.append(
                    f"{label} in {area} is overturned {times_label[i]:.1f}x as often as average (odds)"
                )
            lines.append("; ".join(said) or "nothing stands out")
        return lines

    def save(self, folder: Path) -> None:
        """Write `flagger.json`."""
        raw = asdict(self)
        for name in ("mean", "scale", "coef"):
            raw[name] = dict(zip(FEATURES, raw[name].tolist(), strict=True))
        write_text(folder / "flagger.json", json.dumps(raw, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Flagger:
        """Read what `save` wrote."""
        raw: dict[str, Any] = json.loads((folder / "flagger.json").read_text(encoding="utf-8"))
        for name in ("mean", "scale", "coef"):
            raw[name] = np.array([raw[name][feature] for feature in FEATURES])
        for name in ("moderators", "labels"):
            raw[name] = {key: (int(n), int(k)) for key, (n, k) in raw[name].items()}
        return cls(**raw)


def _counts(names: Sequence[str], wrong: Floats) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, bad in zip(names, wrong, strict=True):
        n, k = found.get(name, (0, 0))
        found[name] = (n + 1, k + int(bad))
    return found


def _odds(probabilities: list[Floats], decided: Ints) -> Floats:
    p = np.array([row[i] for row, i in zip(probabilities, decided, strict=True)])
    return np.asarray(-logit(np.clip(p, 1e-4, 1 - 1e-4)))


def _margin(probabilities: list[Floats], decided: Ints) -> Floats:
    out = np.empty(len(decided))
    for n, (row, i) in enumerate(zip(probabilities, decided, strict=True)):
        other = max(value for j, value in enumerate(row) if j != i)
        out[n] = np.log(max(other, 1e-4)) - np.log(max(row[i], 1e-4))
    return out
