"""From the in-tree object store to the Barman Cloud plugin, as a change of Git's manifests."""
