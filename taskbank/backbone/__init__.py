"""The frozen encoder: loaded, identified, and computed with the changes of tasks."""
