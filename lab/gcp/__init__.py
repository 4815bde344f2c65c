"""A double of Google's cloud: what the infrastructure stacks are tried on, as the true provider cannot be had here.

It stands in for the provider `pulumi-resource-gcp` (`provider`), for Google's REST APIs as far as `dr` reads them
(`rest`), and for what Google enforces behind both (`google`, `rules`), over one cloud kept in one file (`cloud`). The
engine, its state, its diffs, imports and protections are the real ones. Which types it knows stands in `table`.
"""
