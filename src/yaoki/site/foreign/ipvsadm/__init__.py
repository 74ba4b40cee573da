"""Import of what `ipvsadm -S` prints (ipvsadm 1.31): the tables of several nodes become one site.

    text --reading--> virtual servers of each node --importing--> configurations, joined as those of keepalived are

IPVS knows neither who owns an address nor what is checked: each address becomes a VIP whose election is made up, and
marked so. Invariants: every option of every line gets exactly one remark; the site that is printed has no error.
"""

from yaoki.site.foreign.ipvsadm.importing import import_ipvsadm
from yaoki.site.foreign.ipvsadm.reading import Directory, NoNames

__all__ = ["Directory", "NoNames", "import_ipvsadm"]
