"""The probes of a rehearsal: small processes in the clients' namespaces and on the switch, spoken to in JSON lines.

`datagram` sends numbered UDP datagrams and ICMP echo requests, `request` begins TCP connections and HTTP requests and
keeps streams, `observer` asks for the VIPs by ARP and neighbour discovery and listens. None of them judges anything:
they record, yaoki.lab.measure reckons. All run with real-time priority and without garbage collection, and record
their own lateness and CPU, so that a late probe is not taken for an outage.
"""
