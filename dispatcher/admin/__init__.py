"""The operators' side of Django's admin: nodes, queues, tokens, accounts to steer; tasks, attempts, the trail to read.

Nothing here writes a row: every action goes through the node registry, the queues or the credentials, which put it into
the change feed under the name of whoever did it. Accounts alone are saved by Django's own pages, which tell the feed.
"""

from django.contrib.admin import site
from django.utils.translation import gettext_lazy as _

from dispatcher.admin import accounts, audit, nodes, queues, tasks, tokens

site.site_header = site.site_title = _("taskdist administration")
site.index_title = _("Operations")

__all__ = ["accounts", "audit", "nodes", "queues", "tasks", "tokens"]
