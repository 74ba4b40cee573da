/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Segments in the midst of TCP connections of which nothing is known: held up, once, where other members tell of flows.
 *
 * When a VIP moves, a connection of the last milliseconds may be ahead of its copy. Its next segment would be scheduled
 * anew, and another server refuse it. Dropped, it comes again by TCP's own retransmission (200 ms at the earliest under
 * Linux), and by then the copy is there. Who is still a stranger after HOLD is scheduled anew.
 *
 * A stranger has a place by its hash, for REMEMBERED at least, and for as long as no other wants it.
 *
 * Invariants: what opens a connection never waits; a connection waits once; whose place is taken does not wait, so a
 * flood of strangers holds up no more of them than there are places in REMEMBERED.
 */
#ifndef YAOKI_STRANGERS_H
#define YAOKI_STRANGERS_H

#include "jhash.h"
#include "news.h"
#include "packet.h"

#define STRANGERS 16384
#define STRANGER_SHIFT 20	/* time in units of 2^20 ns (1.05 ms) */
#define HOLD 96			/* 100 ms: longer than a copy takes, shorter than what a retransmission waits */
#define REMEMBERED 1908		/* 2 s: longer than a first retransmission waits */
#define AHEAD 32		/* so far another processor's clock may be ahead */

/* Written at once: never half of one and half of another. The program's own. */
union stranger {
	struct {
		__u32 hash;
		__u32 seen;	/* 0: nobody, yet */
	};
	__u64 word;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STRANGERS);
	__type(key, __u32);
	__type(value, union stranger);
} strangers SEC(".maps");

/* UDP has no flags, nor has what an error quotes; every segment but the first has ACK (RFC 9293, section 3.1), a reset
 * excepted, for which it is of no use to wait.
 */
static __always_inline int is_in_the_midst(__u8 tcp_flags)
{
	return (tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK;
}

static __always_inline __u32 stranger_hash(const void *flow_key, int is_ipv6)
{
	if (is_ipv6) {
		const struct flow_key6 *key = flow_key;

		return jhash_5words(((__u32)key->source_port << 16 | key->port) ^ key->address[3], key->source);
	} else {
		const struct flow_key4 *key = flow_key;

		return jhash_2words(((__u32)key->source_port << 16 | key->port) ^ key->address, key->source);
	}
}

/* Whether a stranger to the service of this id has to wait. */
__noinline int has_to_wait(__u32 id, __u32 hash)
{
	__u32 *wanted = bpf_map_lookup_elem(&told, &id);
	__u32 place = hash % STRANGERS, now, age;
	union stranger *known, found;

	if (!wanted || !*wanted)
		return 0;
	known = bpf_map_lookup_elem(&strangers, &place);
	if (!known)
		return 0;
	found.word = *(volatile __u64 *)&known->word;
	now = bpf_ktime_get_coarse_ns() >> STRANGER_SHIFT;
	age = now - found.seen + AHEAD;
	if (found.hash == hash && found.seen)
		return age < HOLD + AHEAD;
	if (found.seen && age < REMEMBERED + AHEAD)
		return 0;
	found.hash = hash;
	found.seen = now;
	*(volatile __u64 *)&known->word = found.word;
	return 1;
}

#endif
