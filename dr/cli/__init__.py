"""What the commands share: options, the console, progress, confirmation, signals. The commands are in the features."""
