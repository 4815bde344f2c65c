"""The tests. Helpers are imported as ``tests.builders`` and ``tests.doubles``."""
