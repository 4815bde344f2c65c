"""The desired state in Git, and Argo CD, which applies it."""
