"""The full rebuild, and taking over what Terraform made."""
