"""What a model can do beside what it is taught: the same items before and after, compared in pairs."""
