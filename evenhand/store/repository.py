"""The one way to the store."""

from evenhand.store.acts import ActMethods
from evenhand.store.assignments import AssignmentMethods
from evenhand.store.draws import DrawMethods
from evenhand.store.improvements import ImprovementMethods
from evenhand.store.people import LedgerMethods, PeopleMethods
from evenhand.store.policies import PolicyMethods
from evenhand.store.rulings import RulingMethods


class Store(
    PolicyMethods,
    DrawMethods,
    AssignmentMethods,
    RulingMethods,
    ActMethods,
    PeopleMethods,
    LedgerMethods,
    ImprovementMethods,
):
    """Policies, draws, assignments, rulings, skips, people, the live-model ledger, improvements and the audit log.

    Every write commits before its method returns; what a person does leaves its audit row in the same
    transaction. One store serves many threads. Use it as a context manager, or call `close`.
    """
