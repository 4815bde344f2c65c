"""Taking over what Terraform made, unchanged."""
