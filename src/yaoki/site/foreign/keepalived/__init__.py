"""Import of keepalived.conf (keepalived.conf(5), 2.2.7): several nodes' files become one site.

    text --lines--> logical lines --blocks--> statements --instances, virtual_servers--> configuration of each node
         --networks, vips, services, hooks--> joined parts --draft--> the site file's text, and a report

Invariants: every statement of every file gets exactly one remark; no secret is repeated; the site that is printed has
no error, whatever the files say; what had to be assumed stands in it as a comment that begins with GAP.
"""

from yaoki.site.foreign.keepalived.importing import MAX_NODES, Import, Original, import_keepalived
from yaoki.site.foreign.keepalived.library import Disk, Library, Unreadable
from yaoki.site.foreign.keepalived.report import Outcome, Remark

__all__ = [
    "MAX_NODES", "Disk", "Import", "Library", "Original", "Outcome", "Remark", "Unreadable", "import_keepalived",
]  # fmt: skip
