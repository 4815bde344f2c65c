"""What an environment and its infrastructure are: ``Pulumi.<stack>.yaml``, read into models."""
