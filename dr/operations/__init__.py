"""What the tool does: each operation observes, decides (in the model), and then acts step by step.

Nothing here prints; what happens is told to a :class:`dr.operations.frame.reporting.Reporter`.
"""
