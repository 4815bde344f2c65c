"""What the cache holds is keyed by what it is made from, and is there only when it is complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache_keys import content_key, publish_file, publish_folder, replace_text


def test_same_inputs_same_key(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_text("content")
    assert content_key("x", tmp_path / "a") == content_key("x", tmp_path / "b")


def test_every_change_changes_the_key(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one").write_text("1")
    keys = [content_key(folder)]
    (folder / "one").write_text("2")
    keys.append(content_key(folder))
    (folder / "one").rename(folder / "two")
    keys.append(content_key(folder))
    (folder / "three").write_text("")
    keys.append(content_key(folder))
    assert len(set(keys)) == len(keys)


def test_compiled_python_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("x = 1")
    before = content_key(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "module.pyc").write_bytes(b"\0")
    assert content_key(tmp_path) == before


def test_parts_do_not_run_together() -> None:
    assert content_key("ab", "c") != content_key("a", "bc")


def test_published_folder_is_made_once(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "thing-key"
    assert publish_folder(target, lambda folder: (folder / "file").touch())
    assert not publish_folder(target, lambda _: pytest.fail("made twice"))
    assert (target / "file").exists()


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        publish_folder(tmp_path / "thing", fail)
    assert list(tmp_path.iterdir()) == []


def test_failed_file_leaves_nothing(tmp_path: Path) -> None:
    def fail(file: Path) -> None:
        file.write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        publish_file(tmp_path / "file", fail)
    assert list(tmp_path.iterdir()) == []


def test_slower_of_two_builders_keeps_the_faster_ones_work(tmp_path: Path) -> None:
    target = tmp_path / "thing"

    def make(folder: Path) -> None:
        (folder / "whose").write_text("slower")
        target.mkdir()
        (target / "whose").write_text("faster")

    publish_folder(target, make)
    assert (target / "whose").read_text() == "faster"
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_text_is_replaced_only_when_it_differs(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file"
    assert replace_text(file, "one", mode=0o600)
    assert not replace_text(file, "one")
    assert replace_text(file, "two", mode=0o600)
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
