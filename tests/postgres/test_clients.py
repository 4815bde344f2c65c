"""Who is connected, in the server's words and in a sentence."""

import json

import pytest

from dr.postgres.clients import Client, named, read_clients

PSQL = Client(
    database="shop", role="keeper", application="psql", address="10.1.2.3", kind="client backend", count=1, pod=""
)
APPLY = Client(
    database="shop", role="postgres", application="feed", address="", kind="logical replication worker", count=1
)


def test_the_answer_is_read_with_whatever_stands_in_a_name() -> None:
    said = [{"database": "shop", "role": "a|b", "application": '"x"\n', "address": "", "kind": "client backend"}]
    (client,) = read_clients(json.dumps([one | {"count": 2} for one in said]))
    assert (client.role, client.application, client.count) == ("a|b", '"x"\n', 2)


@pytest.mark.parametrize("answer", ["", "ERROR", "{}x"])
def test_what_is_no_answer_is_an_error(answer: str) -> None:
    with pytest.raises(ValueError):
        read_clients(answer)


def test_each_is_named_by_what_a_person_can_find_it_by() -> None:
    assert named([PSQL, APPLY]) == "keeper from 10.1.2.3 (psql), logical replication worker in shop"


def test_many_are_counted() -> None:
    assert named([PSQL] * 7) == ", ".join(["keeper from 10.1.2.3 (psql)"] * 5) + " and 2 more"
