"""The methods of adaptation: what is put onto a frozen backbone and trained."""
