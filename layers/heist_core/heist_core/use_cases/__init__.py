"""One module per verb that has real work to do."""
