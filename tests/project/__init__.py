"""What holds for the project as a whole: its documents, its manifests, its architecture."""
