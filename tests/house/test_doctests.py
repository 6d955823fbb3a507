"""The examples in the domain's docstrings run and give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import evenhand

MODULES = [
    found.name
    for found in pkgutil.walk_packages(evenhand.__path__, "evenhand.")
    if "migrations" not in found.name
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    assert not doctest.testmod(importlib.import_module(name)).failed


def test_there_are_examples():
    runs = [doctest.testmod(importlib.import_module(name)).attempted for name in MODULES]
    assert sum(runs) > 25
