/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which server a packet's flow has, or gets. Of both address families: keys and tables are given as they are. */
#ifndef YAOKI_FLOW_H
#define YAOKI_FLOW_H

#include "jhash.h"
#include "news.h"
#include "packet.h"
#include "strangers.h"
#include "tables.h"

#define TRIES 16	/* slots looked at for a server that takes new flows, while a ring with dead ones still stands */
#define MOST_COMPARED 256	/* the same where open flows count */
#define NEW_RING_TICKS 1024	/* a minute and more: most flows that began with the ring before have ended */

/* A packet, as far as its flow's server depends on it. */
struct request {
	const struct service *service;
	__u32 now;		/* tick */
	enum part part;
	__u8 tcp_flags;
	struct flow *flow;	/* if it only goes on: what the table of flows has for it, 0 for nothing */
};

/* The tables and keys of a request's family. */
struct tables {
	void *flows, *new_flows, *sources;
	const void *flow_key, *source_key;
	int is_ipv6;
};

struct choice {
	__u32 number, stamp;
	union server_word way;
};

/* What is known of a packet's flow. */
enum finding {
	NOTHING,
	ITS_SERVER,
	WAIT,		/* nothing, and it may be about to be told */
};

static __always_inline int within(__u32 now, __u32 seen, __u32 ticks)
{
	/* `seen` may be ahead: another processor has looked at the clock a little later */
	return (__s32)(now - seen) <= (__s32)ticks;
}

/* Whether a server still is what it was when place and stamp were remembered, and with what flags. */
static __always_inline int is_there(__u32 number, __u32 stamp, __u16 flags, struct choice *choice)
{
	struct server *server = bpf_map_lookup_elem(&servers, &number);

	if (!server || server->stamp != stamp)
		return 0;
	choice->number = number;
	choice->stamp = stamp;
	choice->way.word = *(volatile __u64 *)&server->way.word;
	return choice->way.flags & flags;
}

/* --- slots ------------------------------------------------------------------------------------------------------- */

/* `most` goes into the code, so that the compiler does not make one of the three: where one place looks up in several maps
 * the kernel calls a function by its address, which costs more than all the rest of a first packet.
 */
#define RING_OF(rings, most)						\
	*capacity = most;						\
	all = bpf_map_lookup_elem(&rings, &id);				\
	ring = all ? bpf_map_lookup_elem(all, &first) : 0;		\
	asm volatile("" : "+r"(ring) : "i"(most));			\
	return ring

/* The slots of a service, and how many its ring holds at most. */
static __always_inline struct ring *ring_of(__u32 id, __u32 size, __u32 *capacity)
{
	struct ring *ring;
	__u32 first = 0;
	void *all;

	switch (size) {
	case RING_SMALL:
		RING_OF(rings_small, SMALL_RING);
	case RING_MEDIUM:
		RING_OF(rings_medium, MEDIUM_RING);
	case RING_LARGE:
		RING_OF(rings_large, LARGE_RING);
	default:
		return 0;
	}
}

/* --- flows that are under way ------------------------------------------------------------------------------------ */

/* Whether nothing is to be done for a packet but to send it where its flow is, if that is known. Most are such. */
static __always_inline int only_goes_on(enum part part, __u8 tcp_flags)
{
	return part == WHOLE && !(tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST));
}

/* The service of such a packet's flow, found by the server and not by its address, which would be a hash more. 0 if there
 * is anything to decide: then it goes the way of all others.
 */
static __always_inline struct service *under_way(struct flow *flow, __u32 now, struct choice *choice)
{
	struct server *server = bpf_map_lookup_elem(&servers, &flow->server);
	struct service *service;

	if (flow->state != ESTABLISHED || !server || server->stamp != flow->stamp)
		return 0;
	service = bpf_map_lookup_elem(&services, &server->service);
	if (!service || service->persistence || !within(now, flow->seen, service->established))
		return 0;
	choice->number = flow->server;
	choice->way.word = *(volatile __u64 *)&server->way.word;
	return choice->way.flags & KEEPS ? service : 0;
}

/* --- flows that are known ---------------------------------------------------------------------------------------- */

static __always_inline int lives(const struct flow *flow, const struct service *service, __u32 now)
{
	__u32 ticks = flow->state == ESTABLISHED ? service->established :
		      flow->state == OPENING ? service->opening : service->closing;

	return within(now, flow->seen, ticks);
}

/* Whether the flow stays where it is, for this packet. A SYN to a flow that has ended begins another one. */
static __always_inline int stays(const struct flow *flow, const struct request *request, struct choice *choice)
{
	return lives(flow, request->service, request->now) &&
	       !(flow->state == CLOSING && request->tcp_flags & TCP_SYN) &&
	       is_there(flow->server, flow->stamp, KEEPS, choice);
}

static __always_inline void count_flow(const struct service *service, __u32 number, __s32 change)
{
	__s32 *open;

	if (!(service->flags & COUNTED))
		return;
	open = bpf_map_lookup_elem(&loads, &number);
	if (open)
		__sync_fetch_and_add(open, change);
}

/* What a packet does to its flow's entry. A SYN that is repeated does not prolong a flow's life, nor does an error. */
static __always_inline void note(struct flow *flow, const struct request *request)
{
	if (request->tcp_flags & (TCP_FIN | TCP_RST)) {
		if (flow->state != CLOSING)
			count_flow(request->service, flow->server, -1);
		flow->state = CLOSING;
		flow->seen = request->now;
	} else if (!(request->tcp_flags & TCP_SYN) && flow->state != CLOSING && flow->seen != request->now) {
		flow->seen = request->now;
	}
}

static __always_inline enum finding unknown(const struct tables *tables, const struct request *request)
{
	const struct service *service = request->service;

	if (is_in_the_midst(request->tcp_flags) && !(service->flags & LAZY) &&
	    has_to_wait(service->id, stranger_hash(tables->flow_key, tables->is_ipv6)))
		return WAIT;
	return NOTHING;
}

static __always_inline enum finding find_new(const struct tables *tables, const struct request *request,
					     struct choice *choice)
{
	struct flow *flow = bpf_map_lookup_elem(tables->new_flows, tables->flow_key);

	if (!flow)
		return unknown(tables, request);
	if (!stays(flow, request, choice)) {
		if (request->part != QUOTED)
			bpf_map_delete_elem(tables->new_flows, tables->flow_key);
		return NOTHING;
	}
	if (request->part == QUOTED)
		return ITS_SERVER;
	if (request->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST) || flow->state == CLOSING) {
		note(flow, request);
	} else {
		struct flow second = { .server = choice->number, .stamp = choice->stamp,
				       .seen = request->now, .state = ESTABLISHED };

		bpf_map_update_elem(tables->flows, tables->flow_key, &second, BPF_ANY);
		bpf_map_delete_elem(tables->new_flows, tables->flow_key);
		tell(request->service, &second, tables->flow_key, tables->is_ipv6);
	}
	return ITS_SERVER;
}

/* Whether the packet is one that may open a flow of a service whose slots are found again. It leaves no entry: a flood of
 * it drives nobody out, and costs little more than one hash, for it is not looked up either.
 */
static __always_inline int only_opens(const struct request *request)
{
	return request->service->flags & LAZY && request->tcp_flags & TCP_SYN;
}

/* But while flows may be elsewhere than their slots say: a client's port that comes again within seconds would find the
 * entry of the flow that it had before at its second packet, and another server by that.
 */
static __always_inline int is_new_ring(const struct request *request)
{
	__u32 capacity;
	struct ring *ring = ring_of(request->service->id, request->service->ring, &capacity);

	return ring && within(request->now, ring->turn, NEW_RING_TICKS);
}

static __always_inline enum finding find(const struct tables *tables, const struct request *request,
					 struct choice *choice)
{
	struct flow *flow;

	if (only_opens(request) && !is_new_ring(request))
		return NOTHING;
	if (only_goes_on(request->part, request->tcp_flags))
		flow = request->flow;
	else
		flow = bpf_map_lookup_elem(tables->flows, tables->flow_key);
	if (!flow)
		return find_new(tables, request, choice);
	if (!stays(flow, request, choice)) {
		if (request->part != QUOTED)
			bpf_map_delete_elem(tables->flows, tables->flow_key);
		return NOTHING;
	}
	if (request->part != QUOTED)
		note(flow, request);
	return ITS_SERVER;
}

/* --- flows that are not ------------------------------------------------------------------------------------------ */

static __always_inline __u32 open_flows(__u32 number)
{
	__s32 *open = bpf_map_lookup_elem(&loads, &number);

	return open && *open > 0 ? *open : 0;
}

static __always_inline int is_full(__u32 number)
{
	struct capacity *capacity = bpf_map_lookup_elem(&capacities, &number);

	return capacity && capacity->limit && open_flows(number) >= capacity->limit;
}

static __always_inline int takes(__u32 number)
{
	struct server *server = bpf_map_lookup_elem(&servers, &number);

	return server && server->way.flags & TAKES;
}

/* Like every function that is not static, it is proved by itself, not once for each way that leads to it. */
__noinline int has_room(__u32 number)
{
	return takes(number) && !is_full(number);
}

/* The slot after one. Slots are counted in 64 bits: the verifier does not see that a remainder in 32 leaves nothing above
 * them, and compilers after clang 14 do not say so once more. Of a remainder it forgets what it was, so every turn of a
 * loop is like the last one for it; a compiler that knew `index` to be below `slots` would make a comparison of it.
 */
static __always_inline __u64 next(__u64 index, __u32 slots)
{
	asm("" : "+r"(index));
	return (index + 1) % slots;
}

/* The best server so far: the one that would have the fewest flows for its weight if it got this one. */
struct lightest {
	__u32 number, weight;
	__u64 flows;
};

/* Whether there is one more to choose from. */
__noinline int weigh(struct lightest *lightest, __u32 number)
{
	struct capacity *capacity;
	__u64 flows;

	if (!lightest || number == lightest->number || !takes(number) || is_full(number))
		return 0;
	capacity = bpf_map_lookup_elem(&capacities, &number);
	if (!capacity)
		return 0;
	flows = open_flows(number) + 1;
	if (lightest->number == NOBODY || flows * lightest->weight < lightest->flows * capacity->weight)
		*lightest = (struct lightest){ number, capacity->weight, flows };
	return 1;
}

/* The server with the fewest open flows for its weight, of two that are drawn, or of all that MOST_COMPARED slots have.
 * Each time it is begun with the next slot, so that equals take turns, and of more servers each is among those compared.
 */
__noinline __u32 pick_lightest(__u32 id, __u32 size, __u32 flags)
{
	struct lightest lightest = { NOBODY, 0, 0 };
	__u32 capacity = 0, slots, found = 0;
	struct ring *ring;
	__u64 index;

	ring = ring_of(id, size, &capacity);
	if (!ring || !ring->slots)
		return NOBODY;
	slots = ring->slots;
	if (flags & LESS_OF_TWO) {
		for (int i = 0; i < TRIES && found < 2; i++) {
			index = (__u64)bpf_get_prandom_u32() * slots >> 32;
			if (index >= capacity)
				return NOBODY;
			found += weigh(&lightest, ring->slot[index]);
		}
		if (found)
			return lightest.number;
	}
	index = __sync_fetch_and_add(&ring->turn, 1) % slots;
	for (__u32 i = 0; i < MOST_COMPARED && i < slots; i++) {
		if (index >= capacity)
			return NOBODY;
		weigh(&lightest, ring->slot[index]);
		index = next(index, slots);
	}
	return lightest.number;
}

/* The server whose turn it is, or whose slot the source or the flow has. */
__noinline __u32 pick(__u32 id, __u32 size, __u32 hash, __u32 flags)
{
	__u32 capacity = 0, slots, number;
	struct ring *ring;
	__u64 index;

	ring = ring_of(id, size, &capacity);
	if (!ring || !ring->slots)
		return NOBODY;
	slots = ring->slots;
	if (flags & (BY_SOURCE | BY_FLOW))
		index = (__u64)hash * slots >> 32;
	else
		index = __sync_fetch_and_add(&ring->turn, 1) % slots;
	for (__u32 i = 0; flags & LIMITED && i < MOST_COMPARED; i++) {
		if (index >= capacity)
			return NOBODY;
		number = ring->slot[index];
		if (has_room(number))
			return number;
		index = next(index, slots);
	}
	for (int i = 0; !(flags & LIMITED) && i < TRIES; i++) {
		if (index >= capacity)
			return NOBODY;
		number = ring->slot[index];
		if (takes(number))
			return number;
		index = next(index, slots);
	}
	return NOBODY;
}

/* The server that the flow's source is remembered with, if it takes new flows. */
static __always_inline int remembered(const struct tables *tables, const struct request *request, struct choice *choice)
{
	struct source *source = bpf_map_lookup_elem(tables->sources, tables->source_key);

	return source && within(request->now, source->seen, request->service->persistence) &&
	       is_there(source->server, source->stamp, TAKES, choice) &&
	       !(request->service->flags & LIMITED && is_full(source->server));
}

static __always_inline void remember(const struct tables *tables, const struct request *request,
				     const struct choice *choice)
{
	struct source source = { .server = choice->number, .stamp = choice->stamp, .seen = request->now };

	bpf_map_update_elem(tables->sources, tables->source_key, &source, BPF_ANY);
}

/* A known flow of a source keeps the source in mind. It must not bring it back to a server that takes no new flows. */
static __always_inline void touch(const struct tables *tables, const struct request *request,
				  const struct choice *choice)
{
	struct source *source = bpf_map_lookup_elem(tables->sources, tables->source_key);

	if (source && source->stamp == choice->stamp)
		source->seen = request->now;
}

static __always_inline enum reason begin(const struct tables *tables, const struct request *request, __u32 hash,
					 struct choice *choice)
{
	const struct service *service = request->service;
	struct server *server;
	struct flow flow;

	if (request->part == QUOTED && !(service->flags & LAZY))
		return NO_FLOW;
	if (!service->persistence || !remembered(tables, request, choice)) {
		if (service->flags & (LEAST | LESS_OF_TWO))
			choice->number = pick_lightest(service->id, service->ring, service->flags);
		else
			choice->number = pick(service->id, service->ring, hash, service->flags);
		server = bpf_map_lookup_elem(&servers, &choice->number);
		if (choice->number == NOBODY || !server)
			return NO_SERVER;
		choice->stamp = server->stamp;
		choice->way.word = *(volatile __u64 *)&server->way.word;
	}
	if (request->part == QUOTED)
		return SENT;
	if (service->persistence)
		remember(tables, request, choice);
	if (only_opens(request))
		return SENT;
	flow = (struct flow){ .server = choice->number, .stamp = choice->stamp, .seen = request->now };
	if (request->tcp_flags & (TCP_FIN | TCP_RST))
		flow.state = CLOSING;
	else
		flow.state = request->tcp_flags & TCP_SYN ? OPENING : ESTABLISHED;
	if (flow.state != CLOSING)
		count_flow(service, choice->number, 1);
	bpf_map_update_elem(tables->new_flows, tables->flow_key, &flow, BPF_ANY);
	return SENT;
}

#endif
