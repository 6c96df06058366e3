"""What the scripts of this folder run in processes of their own."""
