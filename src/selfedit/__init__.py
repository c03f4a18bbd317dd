"""selfedit: a language model teaches itself new documents, and an outer loop teaches it to teach itself better."""

__version__ = "0.2.0"
