"""What a swap would undo besides the rows: the present table held against the table of the target. Pure.

A table comes with its owner, rights, row security, columns, indexes, constraints and triggers. Each of them may have
been changed since the target, and on purpose.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from dr.core.errors import VerificationError
from dr.extract.preconditions import ExtractRequest, ExtractSituation
from dr.extract.table_facts import TableFacts, Trait


def hold_against(
    request: ExtractRequest, live: TableFacts | None, then: TableFacts, *, agreed: Iterable[str] = ()
) -> None:
    """Refuse a swap that would fail, or undo what nobody agreed to. ``live`` is the present table, ``then`` the one of
    the target, ``agreed`` the differences that the plan has shown.

    Raises VerificationError ``swap-would-fail``, ``swap-unprotects``, ``swap-undoes-changes``.
    """
    if live is None or not request.swap:
        return
    where = "nothing was loaded, and the scratch Cluster stays"
    if found := hindrances(live, then):
        raise VerificationError(
            "swap-would-fail",
            f"{request.table} cannot be swapped: {'; '.join(found)}; {where}",
            "leave --swap out, and copy the rows from the recovered table; or drop what is named first",
        )
    if found := weaker(live, then):
        raise VerificationError(
            "swap-unprotects",
            f"{request.table} was less protected at the target: {'; '.join(found)}; {where}",
            "leave --swap out: the recovered table is readable by its owner alone, and rows can be copied from it",
        )
    if found := tuple(difference for difference in changes(live, then) if difference not in set(agreed)):
        raise VerificationError(
            "swap-undoes-changes",
            f"{request.table} was changed since the target: {'; '.join(found)}; {where}",
            "leave --swap out, and copy rows; or repeat the command as it is: its plan lists this, to be agreed to",
        )


def undone_by_swap(request: ExtractRequest, situation: ExtractSituation) -> tuple[str, ...]:
    """What a swap would undo, where an earlier run has found the table already; nothing where that is not known."""
    live = situation.live_seen.table if situation.live_seen else None
    then = situation.found
    return changes(live, then) if request.swap and live and then else ()


def weaker(live: TableFacts, then: TableFacts) -> tuple[str, ...]:
    """What protects the present table and not the one of the target: rights that are wider there, row security,
    policies and security labels that are not there. Another policy counts, whatever it says.
    """
    gone = (f"{guard}, there now, would go" for guard in live.guards if guard not in then.guards)
    other = (f"{guard}, not there now" for guard in then.guards if guard not in live.guards and _is_policy(guard))
    wider = (f"{right}, not there now" for right in _grouped(set(then.rights) - set(live.rights)))
    return (*gone, *other, *wider)


def changes(live: TableFacts, then: TableFacts) -> tuple[str, ...]:
    """What else would not be as it is now, each in words."""
    lost = (f"{right}, granted since, would go" for right in _grouped(set(live.rights) - set(then.rights)))
    back = (f"{guard} would come back" for guard in then.guards if guard not in live.guards and not _is_policy(guard))
    return (*lost, *back, *_traits(_by_name(live.traits), _by_name(then.traits)))


def hindrances(live: TableFacts, then: TableFacts) -> tuple[str, ...]:
    """Why views and foreign keys that use the present table could not be pointed to the one of the target."""
    columns = {
        **{str(view): view.columns for view in live.views},
        **{str(key): key.referenced for key in live.keys_in},
    }
    found = [
        f"{what} uses the column {column}, {_was(then.columns.get(column))}"
        for what, used in columns.items()
        for column in used
        if live.columns.get(column) != then.columns.get(column)
    ]
    uniques = {tuple(sorted(names)) for names in then.uniques}
    found += [
        f"{key} needs a unique index over ({', '.join(key.referenced)}), which was not there at the target"
        for key in live.keys_in
        if tuple(sorted(key.referenced)) not in uniques and set(key.referenced) <= set(then.columns)
    ]
    return tuple(found)


def _was(type_then: str | None) -> str:
    return f"which was of type {type_then} at the target" if type_then else "which was not there at the target"


def _is_policy(guard: str) -> bool:
    return guard.startswith("policy ")


def _by_name(traits: Iterable[Trait]) -> Mapping[str, str]:
    return {trait.what: trait.definition for trait in traits}


def _traits(live: Mapping[str, str], then: Mapping[str, str]) -> Iterator[str]:
    for what in sorted({*live, *then}):
        if what not in then:
            yield f"{what}, there now, would go"
        elif what not in live:
            yield f"{what}, not there now, would come back"
        elif live[what] != then[what]:
            yield f"{what} would be as it was: {then[what]} (now {live[what]})"


def _grouped(rights: Iterable[str]) -> list[str]:
    """``SELECT on t to a`` and ``UPDATE on t to a`` in one line."""
    found: dict[str, list[str]] = {}
    for right in sorted(rights):
        privilege, rest = re.fullmatch(r"(\w+)(.*)", right, re.DOTALL).groups()  # type: ignore[union-attr]
        found.setdefault(rest, []).append(privilege)
    return [", ".join(privileges) + rest for rest, privileges in found.items()]
