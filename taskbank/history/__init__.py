"""What happened in a bank, and how its tasks fared while others were added."""
