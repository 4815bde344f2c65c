"""The command line: options, rendering, signals and exit codes. Thin: every decision is made below."""
