/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What user space writes and the program reads. layout.py is the mirror of these structures: change both, and
 * LAYOUT with them, since pinned tables outlive the program.
 */
#ifndef YAOKI_TABLES_H
#define YAOKI_TABLES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Default sizes; the loader may set others. */
#define MAX_SERVICES 2048
#define MAX_SERVERS 32768
#define MAX_FLOWS 262144
#define MAX_NEW_FLOWS 65536
#define MAX_SOURCES 65536
#define MAX_FRAGMENTED 16384
#define MAX_ADDRESSES 4096

#define NOBODY 0	/* of servers: no such server, so that a slot of zero leads nowhere */

/* Idle time is counted in ticks of 2^26 ns (67 ms), so that a busy flow's entry is written 15 times a second at most. */
#define TICK_SHIFT 26

/* --- services ---------------------------------------------------------------------------------------------------- */

/* `where` is port, protocol and zero, one octet after the other. Keys are written in words: the hash reads words, and a
 * processor waits where it reads as one what it has just written in pieces.
 */
struct service_key4 {
	__be32 address;
	__be32 where;
};

struct service_key6 {
	__be32 address[4];
	__be32 where;
};

/* The slots of a service are a value in one of three arrays of maps, by their number: see struct ring. */
enum ring_size { RING_NONE, RING_SMALL, RING_MEDIUM, RING_LARGE };

enum service_flags {
	BY_SOURCE = 1,	/* the slot is found by the source address, else they are taken in turn */
	LAZY = 2,	/* a first packet that only opens (SYN) stores nothing: the slot is found again */
	COUNTED = 4,	/* its servers' open flows are counted */
	LIMITED = 8,	/* some of its servers take so many at most */
	LEAST = 16,	/* of all servers in its slots, the one with the fewest open flows for its weight */
	LESS_OF_TWO = 32,	/* the same of two that are drawn from its slots */
	BY_FLOW = 64,	/* the slot is found by source address and port */
};

struct service {
	__u32 id;		/* place of its ring and its counter */
	__u32 ifindex;		/* where its packets arrive and leave */
	__u8 mac[6];		/* that interface's own */
	__u8 ring;		/* enum ring_size; RING_NONE: nobody takes new flows */
	__u8 flags;		/* enum service_flags */
	__u32 gate;		/* number of its address's deadline */
	__u32 opening;		/* idle time-outs in ticks: of a flow of which only the first packet was seen, */
	__u32 established;	/* of one under way, */
	__u32 closing;		/* and of a TCP flow of which a FIN or RST was seen */
	__u32 persistence;	/* for so many ticks a source is remembered; 0: no persistence */
	__be32 source_mask[4];	/* under which sources are the same; IPv4: the first word */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, struct service_key4);
	__type(value, struct service);
} services4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, struct service_key6);
	__type(value, struct service);
} services6 SEC(".maps");

/* The same by their ids: who has a flow's server has its service without a second hash. Not written at one instant, so a
 * packet that is just passing may see some of the old and some of the new: for flows that are under way, to which each
 * word means something by itself.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, struct service);
} services SEC(".maps");

/* --- servers ----------------------------------------------------------------------------------------------------- */

enum server_flags {
	KEEPS = 1,	/* flows that it has stay with it */
	TAKES = 2,	/* it may get new ones */
	TUNNELLED = 4,	/* it is across routers: its packets get outer headers, and the MAC is that of the next hop */
};

/* One real server of one service. MAC and flags are one word, read at once: never half of the old and half of the new.
 * A stamp is used for one server of one service only, ever: who remembers place and stamp cannot be led to another.
 */
union server_word {
	struct {
		__u8 mac[6];
		__u16 flags;
	};
	__u64 word;
};

struct server {
	union server_word way;
	__u32 stamp;
	__u32 service;		/* id */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, struct server);
} servers SEC(".maps");

/* The rest of the way to a server that is TUNNELLED. What may change is written entry by entry, so a packet that is just
 * passing may have some of the old and some of the new; the destination is the server's for as long as it is there.
 */
struct tunnel {
	__be32 source[4];	/* of the outer header; IPv4: the first word */
	__be32 destination[4];
	__u32 ifindex;		/* where its packets leave */
	__u8 mac[6];		/* that interface's own */
	__be16 port;		/* of UDP around the packet (GUE); 0: none (IP in IP) */
	__u16 room;		/* octets that a packet may have, so that the path takes it with its outer headers */
	__u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, struct tunnel);
} tunnels SEC(".maps");

/* Flows that a server has open, where its service counts them: those whose first packet came, less those of which a FIN
 * or RST did. Flows that idle out or are driven from their table are not missed here; who counts the table puts it right
 * now and then. Below zero in the meantime is nothing.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, __s32);
} loads SEC(".maps");

struct capacity {
	__u32 weight;		/* above 0 */
	__u32 limit;		/* open flows at which it takes no more; 0: none */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, struct capacity);
} capacities SEC(".maps");

/* --- slots ------------------------------------------------------------------------------------------------------- */

#define SMALL_RING 1021
#define MEDIUM_RING 8191
#define LARGE_RING 65521

/* All slots of a service are one value, put in the place of the last one at one instant. `turn` is the program's; where a
 * hash finds the slot it is the tick at which the ring was put there.
 */
struct ring {
	__u32 slots;
	__u32 turn;
	__u32 slot[];
};

#define RING(name, capacity)								\
	struct name##_map {								\
		__uint(type, BPF_MAP_TYPE_ARRAY);					\
		__uint(max_entries, 1);							\
		__uint(key_size, sizeof(__u32));					\
		__uint(value_size, sizeof(struct ring) + (capacity) * sizeof(__u32));	\
	};										\
	struct {									\
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);				\
		__uint(max_entries, MAX_SERVICES);					\
		__type(key, __u32);							\
		__array(values, struct name##_map);					\
	} name SEC(".maps")

RING(rings_small, SMALL_RING);
RING(rings_medium, MEDIUM_RING);
RING(rings_large, LARGE_RING);

/* --- flows ------------------------------------------------------------------------------------------------------- */

/* Written in words, like the keys of services. */
#define PORTS_AND_PROTOCOL				\
	union {						\
		struct {				\
			__be16 source_port, port;	\
		};					\
		__u32 ports;				\
	};						\
	union {						\
		struct {				\
			__u8 protocol;			\
			__u8 zero[3];			\
		};					\
		__be32 protocol_word;			\
	}

struct flow_key4 {
	__be32 source, address;
	PORTS_AND_PROTOCOL;
};

struct flow_key6 {
	__be32 source[4], address[4];
	PORTS_AND_PROTOCOL;
};

enum flow_state { OPENING, ESTABLISHED, CLOSING };

struct flow {
	__u32 server, stamp;
	__u32 seen;		/* tick of its last packet that counts for its idle time */
	__u32 state;		/* enum flow_state */
};

/* A flow is in the table of new ones from its first packet, and in the other from its second: a flood of first packets
 * drives out new flows only.
 */
#define FLOWS(name, key_type, value_type, size)		\
	struct {					\
		__uint(type, BPF_MAP_TYPE_LRU_HASH);	\
		__uint(max_entries, size);		\
		__type(key, key_type);			\
		__type(value, value_type);		\
	} name SEC(".maps")

FLOWS(flows4, struct flow_key4, struct flow, MAX_FLOWS);
FLOWS(flows6, struct flow_key6, struct flow, MAX_FLOWS);
FLOWS(new_flows4, struct flow_key4, struct flow, MAX_NEW_FLOWS);
FLOWS(new_flows6, struct flow_key6, struct flow, MAX_NEW_FLOWS);

struct source_key4 {
	__u32 service;
	__be32 source;
};

struct source_key6 {
	__u32 service;
	__be32 source[4];
};

struct source {
	__u32 server, stamp;
	__u32 seen;
	__u32 zero;
};

FLOWS(sources4, struct source_key4, struct source, MAX_SOURCES);
FLOWS(sources6, struct source_key6, struct source, MAX_SOURCES);

struct fragment_key4 {
	__be32 source, address;
	__u32 identification;
	__u32 protocol;
};

/* RFC 8200, section 4.5: these three alone tell packets apart. */
struct fragment_key6 {
	__be32 source[4], address[4];
	__u32 identification;
};

/* What the first fragment of a packet tells about the others. */
struct fragment {
	__u32 server, stamp;
	__u32 seen;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

FLOWS(fragments4, struct fragment_key4, struct fragment, MAX_FRAGMENTED);
FLOWS(fragments6, struct fragment_key6, struct fragment, MAX_FRAGMENTED);

/* --- the dead-man gate ------------------------------------------------------------------------------------------- */

/* Until when an address may be served: CLOCK_MONOTONIC in ns; 0: for ever. By the number in service.gate, which is much
 * cheaper than by the address.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, __u32);
	__type(value, __u64);
} deadlines SEC(".maps");

/* The numbers of addresses, for who writes deadlines. The program does not read them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, __be32);
	__type(value, __u32);
} gates4 SEC(".maps");

struct in6_key {
	__be32 word[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, struct in6_key);
	__type(value, __u32);
} gates6 SEC(".maps");

/* --- what user space wants to find again ------------------------------------------------------------------------- */

#define RECORD_LENGTH 1024
#define MAX_RECORDS 65536

/* The program reads none of it; part 0 of service 0xffffffff is about all. */
struct record_key {
	__u32 service;
	__u32 part;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_RECORDS);
	__type(key, struct record_key);
	__uint(value_size, RECORD_LENGTH);
} records SEC(".maps");

/* --- counters ---------------------------------------------------------------------------------------------------- */

struct count {
	__u64 packets;
	__u64 octets;		/* from the IP header on */
	__u64 flows;		/* how often a server was chosen */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, struct count);
} server_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, struct count);
} service_counts SEC(".maps");

/* Why a packet went the way it went. The order is that of layout.py's Reason. */
enum reason {
	SENT,			/* to a server */
	NOT_OURS,		/* passed: of no service, or no error about one's packets */
	OTHER_HOST,		/* passed: the frame is for another MAC */
	OTHER_INTERFACE,	/* passed: the service is on another interface */
	MALFORMED,		/* passed: shorter than its headers say */
	NO_SERVER,		/* passed: nobody takes new flows */
	NO_FLOW,		/* passed: an error about a flow that is not known */
	NO_FIRST_FRAGMENT,	/* passed: a fragment without ports whose first one was not seen */
	SHUT,			/* dropped: the address's deadline has passed */
	TOO_BIG,		/* dropped: larger than a tunnel takes; its sender was told */
	TOO_BIG_UNTOLD,		/* the same: a sender that must not be told, or one of too many */
	NO_HEADROOM,		/* dropped: the kernel has no place for outer headers before it */
	HELD_UP,		/* dropped: in the midst of a connection that others may be about to tell of */
	REASONS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, __u64);
} reasons SEC(".maps");

/* --- errors that are sent ---------------------------------------------------------------------------------------- */

/* How many each processor has sent in the present tick. The program's own. */
struct errors {
	__u32 tick;
	__u32 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct errors);
} errors_sent SEC(".maps");

#endif
