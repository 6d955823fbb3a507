"""What the rates of a report are: shares of decisions or of views, as one SME or a panel would rule, for one look or for many."""

from __future__ import annotations

from dataclasses import dataclass

from evenhand.rates.table import ONE_LOOK, Estimand, Weight


@dataclass(frozen=True, kw_only=True)
class Basis:
    """The options of `evenhand estimate` that a report was made with, and how its texts say them."""

    weight: Weight = "decisions"
    estimand: Estimand = "sme"
    looks: str = ONE_LOOK
    asked_confidence: float = 0.95  # what a single look was asked for, so that all of `looks` hold with 0.95

    @property
    def usual(self) -> bool:
        """Whether nothing was asked for but a share of decisions, as one SME would rule, for one look."""
        return self == Basis()

    @property
    def expert(self) -> str:
        """Who would overturn a decision."""
        return "a panel of experts" if self.estimand == "panel" else "an expert"

    @property
    def unit(self) -> str:
        """What a rate is a share of."""
        return "views" if self.weight == "exposure" else "decisions"

    @property
    def overturned(self) -> str:
        """What a rate counts."""
        if self.weight == "exposure":
            return f"views of content that {self.expert} would decide otherwise"
        return f"decisions that {self.expert} would overturn"

    @property
    def held(self) -> str:
        """At how many looks an interval holds, to stand behind "interval"; empty for one look."""
        return "" if self.looks == ONE_LOOK else f", valid at {self.looks}"

    def line(self) -> str:
        """The three options in a line, for a title or a footer; empty where nothing unusual was asked for."""
        said = (
            "shares of views" if self.weight == "exposure" else "",
            "what a panel would overturn" if self.estimand == "panel" else "",
            f"intervals valid at {self.looks}" if self.looks != ONE_LOOK else "",
        )
        return ", ".join(text for text in said if text)

    def sentences(self) -> tuple[str, ...]:
        """What was estimated, weighed and looked at, for the method."""
        if self.estimand == "panel":
            estimated = (
                "What was estimated: what a panel would overturn. SMEs err too, so their rulings are corrected by what the panel ruled"
                " on their overturns and on a part of their confirmations, drawn with known probability (two-phase sampling)."
            )
        else:
            estimated = (
                "What was estimated: what one SME would overturn. SMEs err too; their own errors are in the rates, for no panel's"
                " correction was asked for."
            )
        if self.weight == "exposure":
            weighed = (
                "Share of exposure: each decision counts by the views of its content, so a rate is the share of views that went to"
                " wrongly decided content. A decision without a figure counts as unseen."
            )
        else:
            weighed = "Each decision counts once, however often its content was seen."
        if self.looks == ONE_LOOK:
            looked = "Each interval is valid for one look at the rulings, not for looking again and again while they come in."
        else:
            how = "valid under daily looks" if "daily" in self.looks else "valid under weekly looks"
            looked = (
                f"The intervals are {how}: with 95% they hold at {self.looks} together while rulings come in, so each is wider than one"
                " for a single look."
            )
        return estimated, weighed, looked
