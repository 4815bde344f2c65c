"""What the tool reasons about, as pure values: no input, no output, no clock of its own."""
