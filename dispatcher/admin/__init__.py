"""The operators' side of Django's admin: nodes, queues, tokens to steer; tasks, attempts and the audit trail to read.

Nothing here writes a row: every action goes through the node registry, the queues or the credentials, which put it into
the change feed under the name of whoever did it.
"""

from django.contrib.admin import site
from django.utils.translation import gettext_lazy as _

from dispatcher.admin import audit, nodes, queues, tasks, tokens

site.site_header = site.site_title = _("taskdist administration")
site.index_title = _("Operations")

__all__ = ["audit", "nodes", "queues", "tasks", "tokens"]
