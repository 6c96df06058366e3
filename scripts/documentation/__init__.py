"""The generated sections and the picture of the documentation."""
