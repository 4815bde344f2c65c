"""The end of an incident: the recovered Cluster becomes the canonical one, in Git too."""
