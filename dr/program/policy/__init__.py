"""The policy pack's folder, as Pulumi wants one."""
