"""The container images of the lab, made without a registry and without a container build tool."""
