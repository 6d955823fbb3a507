"""Words for a question: what its rates are shares of, by whose ruling, and for how many looks they hold."""

from __future__ import annotations

from dataclasses import dataclass

from evenhand.rates.question import Question
from evenhand.statistics.repeated_looks import ONE_LOOK


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The words for a question, as pages and reports use them."""

    question: Question

    @property
    def expert(self) -> str:
        """Who would overturn a decision."""
        return "a panel of experts" if self.question.estimand == "panel" else "an expert"

    @property
    def unit(self) -> str:
        """What a rate is a share of."""
        return "views" if self.question.weight == "exposure" else "decisions"

    @property
    def overturned(self) -> str:
        """What a rate counts."""
        if self.question.weight == "exposure":
            return f"views of content that {self.expert} would decide otherwise"
        return f"decisions that {self.expert} would overturn"

    @property
    def held(self) -> str:
        """For how many looks an interval holds, as words after "interval"; empty for one look."""
        return "" if self.question.looks == ONE_LOOK else f", valid at {self.question.looks}"

    def line(self) -> str:
        """The three options in one line, for a title or a footer; empty if nothing unusual was asked for."""
        said = (
            "shares of views" if self.question.weight == "exposure" else "",
            "what a panel would overturn" if self.question.estimand == "panel" else "",
            f"intervals valid at {self.question.looks}" if self.question.looks != ONE_LOOK else "",
        )
        return ", ".join(text for text in said if text)

    def sentences(self) -> tuple[str, ...]:
        """Sentences for the method: what was estimated, by which weight, and for how many looks."""
        if self.question.estimand == "panel":
            estimated = (
                "What was estimated: what a panel would overturn. SMEs err too, so their rulings are corrected by what the panel ruled"
                " on their overturns and on a part of their confirmations, drawn with known probability (two-phase sampling)."
            )
        else:
            estimated = (
                "What was estimated: what one SME would overturn. SMEs err too; their own errors are in the rates, for no panel's"
                " correction was asked for."
            )
        if self.question.weight == "exposure":
            weighed = (
                "Share of exposure: each decision counts by the views of its content, so a rate is the share of views that went to"
                " wrongly decided content. A decision without a figure counts as unseen."
            )
        else:
            weighed = "Each decision counts once, however often its content was seen."
        if self.question.looks == ONE_LOOK:
            looked = "Each interval is valid for one look at the rulings, not for looking again and again while they come in."
        else:
            how = "valid under daily looks" if self.question.looks.daily else "valid under weekly looks"
            looked = (
                f"The intervals are {how}: with 95% they hold at {self.question.looks} together while rulings come in, so each is wider than one"
                " for a single look."
            )
        return estimated, weighed, looked
