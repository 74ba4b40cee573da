/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Flows that the members of a VIP cannot find without being told: each is told to user space once, at its second packet,
 * when it goes from the table of new flows to the other. So a flood of first packets tells nothing, and an established
 * packet costs what it did. layout.py is the mirror of the structures.
 */
#ifndef YAOKI_NEWS_H
#define YAOKI_NEWS_H

#include "tables.h"

#define NEWS_OCTETS (1 << 20)	/* some 20,000 flows; what there is no room for is told by whoever reads the table */

/* Of which services somebody wants to know, by their ids: not 0. Who wants to know writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, __u32);
} told SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, NEWS_OCTETS);
} news SEC(".maps");

/* The family is known by the length. */
struct news4 {
	struct flow flow;
	struct flow_key4 key;
};

struct news6 {
	struct flow flow;
	struct flow_key6 key;
};

static __always_inline void tell(const struct service *service, const struct flow *flow, const void *key, int is_ipv6)
{
	__u32 id = service->id, *wanted;

	if (service->flags & LAZY)
		return;
	wanted = bpf_map_lookup_elem(&told, &id);
	if (!wanted || !*wanted)
		return;
	/* written in place: the stack has no room for it */
	if (is_ipv6) {
		struct news6 *about = bpf_ringbuf_reserve(&news, sizeof(*about), 0);

		if (!about)
			return;
		about->flow = *flow;
		__builtin_memcpy(&about->key, key, sizeof(about->key));
		bpf_ringbuf_submit(about, 0);
	} else {
		struct news4 *about = bpf_ringbuf_reserve(&news, sizeof(*about), 0);

		if (!about)
			return;
		about->flow = *flow;
		__builtin_memcpy(&about->key, key, sizeof(about->key));
		bpf_ringbuf_submit(about, 0);
	}
}

#endif
