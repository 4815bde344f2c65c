"""URLs of Git repositories: which mean the same, and what of them may be shown."""

import pytest

from dr.gitops.checkout import identity, without_credentials


@pytest.mark.parametrize(
    "url",
    [
        "https://git.test/org/x",
        "https://git.test/org/x/",
        "https://git.test/org/x.git",
        "https://git.test/org/x.git/",
        "https://user@git.test/org/x",
        "https://user:p%40ss@git.test:443/org/x.git",
        "http://Git.Test/Org/X",
        "ssh://git@git.test/org/x",
        "ssh://git@git.test:2222/org/x.git",
        "git://git.test/org/x.git",
        "git@git.test:org/x.git",
        "git@git.test:/org/x",
        "git.test:org/x",
        " git@git.test:org/x.git\n",
    ],
)
def test_one_repository_however_it_is_written(url: str) -> None:
    assert identity(url) == identity("https://git.test/org/x")


@pytest.mark.parametrize(
    "url",
    [
        "https://git.test/org/y",
        "https://git.test/org",
        "https://other.test/org/x",
        "https://git.test:8443/org/x",
        "git@other.test:org/x",
        "/git.test/org/x",
        "file:///org/x",
    ],
)
def test_another_repository_is_another(url: str) -> None:
    assert identity(url) != identity("https://git.test/org/x")


@pytest.mark.parametrize("url", ["/srv/x", "/srv/x/", "/srv/x.git", "file:///srv/x.git", "../x", "file:///srv/y/../x"])
def test_a_local_repository_however_it_is_written(url: str) -> None:
    assert identity(url, root="/srv/checkout") == identity("/srv/x")


def test_the_case_of_a_local_path_matters() -> None:
    assert identity("/srv/X") != identity("/srv/x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("unable to access 'https://me:to@ken@git.test/x/': 403", "unable to access 'https://git.test/x/': 403"),
        ("ssh://git@git.test/x and https://token@git.test", "ssh://git.test/x and https://git.test"),
        ("git@git.test:x", "git@git.test:x"),
        ("https://git.test/a@b", "https://git.test/a@b"),
    ],
)
def test_users_and_passwords_are_not_shown(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
