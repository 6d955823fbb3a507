"""Tests how a policy file is read, and what a bad one is told."""

import pytest

from evenhand.errors import PolicyError
from evenhand.records.policy import diff_policies, parse_policy, titles
from evenhand.synthetic.sample_policies import sample_policies

GOOD = """
version: house/1
effective_from: 2026-01-01
areas:
  - name: spam
    labels:
      - {name: fine, clause: All else.}
      - {name: spam, clause: The same link again and again., severity: low, markets: {NO: Links of any kind.}}
      - {name: scam, clause: A sure profit., severity: high}
"""


def test_a_policy_reads_as_written():
    area = parse_policy(GOOD).area("spam")
    assert area.label_names == ("fine", "spam", "scam")
    assert area.label("spam").clause_for("NO") == "Links of any kind."  # NO is Norway, not False
    assert area.label("spam").clause_for("SE") == "The same link again and again."


@pytest.mark.parametrize(
    ("decided", "ruled", "error"),
    [
        ("fine", "fine", None),
        ("spam", "fine", "over_enforcement"),
        ("fine", "scam", "under_enforcement"),
        ("spam", "scam", "wrong_policy"),
    ],
)
def test_how_a_decision_was_wrong(decided, ruled, error):
    assert parse_policy(GOOD).area("spam").error_class(decided, ruled) == error


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("version: house/1", ""), "'version' is missing"),
        (("2026-01-01", "soon"), "write a date like"),
        (("severity: low", "severity: mild"), "severity 'mild' is unknown"),
        (("name: scam", "name: spam"), "label 'spam' stands there twice"),
        (("clause: All else.", "claus: All else."), "unknown key 'claus'"),
        (("areas:", "areas:\n  - ["), "not valid YAML"),
        (("effective_from", "effective_from: 2026-01-01\neffective_from"), "stands there twice"),
    ],
)
def test_a_bad_policy_says_what_and_where(change, words):
    with pytest.raises(PolicyError, match=words) as problem:
        parse_policy(GOOD.replace(change[0], change[1], 1), "house.yaml")
    assert "house.yaml" in str(problem.value)


def test_unknown_names_list_the_known_ones():
    policy = parse_policy(GOOD)
    with pytest.raises(PolicyError, match="it has spam"):
        policy.area("hate")
    with pytest.raises(PolicyError, match="it has fine, spam, scam"):
        policy.check("spam", "bait")


def test_the_sample_versions_differ_where_they_say():
    old, new = (policy for policy, _ in sample_policies())
    kinds = {(change.kind, change.area, change.label) for change in diff_policies(old, new)}
    assert ("label_added", "spam", "engagement_bait") in kinds
    assert ("clause_changed", "harassment", "insult") in kinds
    assert ("severity_changed", "regulated_goods", "promotion") in kinds
    assert len(old.areas) == 6


def test_titles_are_those_of_the_newest_version_that_has_the_name():
    old = GOOD.replace("- name: spam\n", "- name: spam\n    title: Junk\n", 1).replace(
        "{name: scam,", "{name: scam, title: Fraud,"
    )
    new = GOOD.replace("house/1", "house/2").replace("2026-01", "2026-05")
    new = new.replace("- name: spam\n", "- name: spam\n    title: Spam and scams\n", 1)
    new = "\n".join(line for line in new.splitlines() if "scam," not in line)
    found = titles([parse_policy(new), parse_policy(old)])
    assert found["spam", ""] == "Spam and scams"
    assert found["spam", "scam"] == found["", "scam"] == "Fraud", "only the old version has it"
    assert found["spam", "fine"] == "Fine", "no title is written there"


def test_a_label_that_areas_call_differently_has_no_title_without_its_area():
    def area(name: str, title: str) -> str:
        return f"""  - name: {name}
    title: {name} area
    labels:
      - {{name: fine, clause: All else.}}
      - {{name: violation, title: {title}, clause: Not allowed.}}
"""

    text = (
        "version: v\neffective_from: 2026-01-01\nareas:\n"
        + area("hate", "Hate speech")
        + area("spam", "Spam")
    )
    found = titles([parse_policy(text)])
    assert found["hate", "violation"] == "Hate speech" and found["spam", "violation"] == "Spam"
    assert found["", "fine"] == "Fine" and ("", "violation") not in found


def test_a_title_that_two_names_share_is_left_out():
    twice = GOOD.replace("{name: scam,", "{name: scam, title: Spam,")
    assert {key for key in titles([parse_policy(twice)]) if key[0]} == {("spam", ""), ("spam", "fine")}


def test_a_title_stands_on_one_line():
    text = GOOD.replace("- name: spam\n", '- name: spam\n    title: "Spam\\nand scams"\n', 1)
    assert parse_policy(text).area("spam").title == "Spam and scams"
