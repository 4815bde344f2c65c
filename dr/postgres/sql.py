"""Names and values, quoted for SQL and for connection strings: ``psql`` gets them as text, and no driver binds them."""


def identifier(name: str) -> str:
    """A name in a statement, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string in a statement, whatever ``standard_conforming_strings`` says (as libpq's ``PQescapeLiteral``)."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f" E'{escaped}'" if "\\" in text else f"'{escaped}'"


def conninfo(**settings: str | int) -> str:
    """A connection string (PostgreSQL manual, "Connection Strings"), such as ``host='db' connect_timeout='10'``."""
    escaped = {key: str(value).replace("\\", "\\\\").replace("'", "\\'") for key, value in settings.items()}
    return " ".join(f"{key}='{value}'" for key, value in escaped.items())
