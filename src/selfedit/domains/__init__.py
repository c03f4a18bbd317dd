"""Every domain, by name. To add one: write its file, add its row."""

from selfedit.domains.knowledge import Knowledge

DOMAINS = {"knowledge": Knowledge}
