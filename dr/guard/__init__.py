"""The guard: what no change may do, as rules over what a preview says and what is seen."""
