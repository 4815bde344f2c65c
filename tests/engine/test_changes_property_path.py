"""Pulumi's property paths, and taking secrets out of what is shown."""

from typing import Any

import pytest

from dr.engine.changes import SECRET, differing, masked, parts, value_at

SEALED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec", ("spec",)),
        ("spec.externalName", ("spec", "externalName")),
        ("spec.plugins[0].name", ("spec", "plugins", 0, "name")),
        ('metadata.annotations["pulumi.com/patchForce"]', ("metadata", "annotations", "pulumi.com/patchForce")),
        ('labels["a\\"b"].c', ("labels", 'a"b', "c")),
        ("rules[12][3]", ("rules", 12, 3)),
    ],
)
def test_a_path_is_taken_apart(path: str, expected: tuple[str | int, ...]) -> None:
    assert parts(path) == expected


def test_what_stands_at_a_path_and_nothing_where_it_leads_nowhere() -> None:
    document = {"spec": {"plugins": [{"name": "barman"}], "password": SECRET}}
    assert value_at(document, "spec.plugins[0].name") == "barman"
    assert value_at(document, "spec.plugins[1].name") is None
    assert value_at(document, "spec.externalName.deeper") is None
    assert value_at(None, "spec") is None
    assert value_at(document, "spec.password.inner") == SECRET


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ({"given": SEALED, "open": 1}, "", {"given": SECRET, "open": 1}),
        ([SEALED], "", [SECRET]),
        ({"data": {"a": "eA=="}, "type": "Opaque"}, "kubernetes:core/v1:Secret", {"data": SECRET, "type": "Opaque"}),
        ({"data": {"a": "x"}}, "kubernetes:core/v1:ConfigMap", {"data": {"a": "x"}}),
        ({"dbPassword": "hush", "secret": {"name": "app"}}, "", {"dbPassword": SECRET, "secret": {"name": "app"}}),
        ({"url": "postgres://ann:hush@host/db"}, "", {"url": f"postgres://{SECRET}@host/db"}),
        ({"ip": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}, "", {"ip": "[known later]"}),
        ({"applicationCredentials": {"name": "bucket", "key": "k"}}, "", None),
    ],
)
def test_secrets_are_taken_out_and_what_only_names_one_stays(value: Any, kind: str, expected: Any) -> None:
    assert masked(value, kind=kind) == (value if expected is None else expected)


def test_where_two_documents_differ_is_told_as_deep_as_can_be() -> None:
    before = {"a": {"b": 1, "c/d.e": 2}, "list": [1, 2], "gone": True}
    after = {"a": {"b": 1, "c/d.e": 3}, "list": [1, 3], "new": {"x": 1}}
    assert list(differing(before, after)) == ['a["c/d.e"]', "gone", "list[1]", "new"]
    assert list(differing([1], [1, 2], "list")) == ["list"]
