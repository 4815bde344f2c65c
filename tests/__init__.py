"""The tests. Helpers are imported as ``tests.support.builders`` and ``tests.support.doubles``."""
