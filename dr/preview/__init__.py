"""What ``pulumi up`` would do, in words, for people and for the policy pack."""
