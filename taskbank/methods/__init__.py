"""The methods of adaptation: the trainable modules that they add to a frozen backbone."""
