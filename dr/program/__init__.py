"""What the plain Pulumi CLI runs: the program behind ``pulumi up``, and the guard as a policy pack.

The folder is a Pulumi project as it is installed; ``dr project`` writes its files into the folder of the configuration.
The files in a checkout's root are the same.
"""
