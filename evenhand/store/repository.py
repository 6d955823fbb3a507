"""The class through which all other code reads and writes the store."""

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
    """The whole store: policies, draws, assignments, rulings, skips, people, ledger, improvements, audit log.

    Every write commits before its method returns; the audit row of a person's act is written in the same
    transaction. One store serves many threads. Use it as a context manager, or call `close`.
    """
