"""Writing an update in the forms that other programs load, each checked against the model that was examined."""
