// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The layer-4 balancer's direct server return: of a frame for a virtual service the destination MAC becomes a real
 * server's, and the frame leaves where it came in; to a server across routers the packet goes inside another one
 * (tunnel.h). Two hooks, one program: balance_xdp for NICs whose driver runs XDP, balance_tc (tcx) for everything else.
 *
 * A packet goes to the server that its flow has; a flow that has none, or whose server is gone, gets one from the
 * service's ring of slots. Nothing is read from user space but the tables of tables.h.
 *
 * Invariants: a frame leaves only for a server that is now a member of the service it is for; only its two Ethernet
 * addresses are changed, and nothing in a packet that gets outer headers; only frames for this host's own MAC are touched; what is for no service, or for one without a
 * server, goes up the local stack; of an address whose deadline has passed nothing is sent.
 */
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include "clock.h"
#include "flow.h"
#include "tunnel.h"

#define MOST_HEADERS 256	/* octets of a frame that are made readable, if it has so many */
#define TCP_HEADER 20		/* without options; UDP's is shorter */
#define FRAGMENT_TICKS (30000000000ULL >> TICK_SHIFT)	/* RFC 8200, section 4.5: up to 60 s; Linux: 30 s */

static __always_inline enum verdict passed(enum reason reason)
{
	count_reason(reason);
	return reason == SHUT || reason == HELD_UP ? DROP : PASS;
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* Of a service's key, what is not its address. */
static __always_inline __be32 where(__be16 port, __u8 protocol)
{
	return bpf_htonl((__u32)bpf_ntohs(port) << 16 | (__u32)protocol << 8);
}

/* SENT if this host may serve the packet at all. */
static __always_inline enum reason admitted(const struct arrival *arrival, const struct service *service)
{
	__u32 gate = service->gate;
	__u64 *deadline_ns;

	if (service->ifindex != arrival->ifindex)
		return OTHER_INTERFACE;
	if (arrival->addressee == OTHER_MAC ||
	    (arrival->addressee == MAC_NOT_COMPARED && !same_mac(arrival->destination, service->mac)))
		return OTHER_HOST;
	deadline_ns = bpf_map_lookup_elem(&deadlines, &gate);
	if (deadline_ns && *deadline_ns && arrival->now_ns > *deadline_ns)
		return SHUT;
	return SENT;
}

/* The service of a packet that is to be sent where its flow is, which has been noted there; 0 if it has to be looked at
 * closer.
 */
static __always_inline struct service *going_on(struct flow *flow, const struct arrival *arrival, __u32 now,
						struct choice *choice)
{
	struct service *service = flow ? under_way(flow, now, choice) : 0;

	if (!service || admitted(arrival, service) != SENT)
		return 0;
	if (flow->seen != now)
		flow->seen = now;
	return service;
}

static __always_inline enum verdict sent(const struct arrival *arrival, const struct service *service,
					 const struct choice *choice, int is_new, struct outgoing *outgoing)
{
	outgoing->way = choice->way;
	if (choice->way.flags & TUNNELLED) {
		outgoing->server = choice->number;
		outgoing->service = service->id;
		outgoing->is_new = is_new;
		return WRAP;
	}
	count_sent(choice->number, service->id, arrival->octets, is_new);
	return SEND;
}

/* --- IPv4 -------------------------------------------------------------------------------------------------------- */

static __always_inline struct fragment_key4 fragment_key4(const struct packet4 *packet)
{
	return (struct fragment_key4){ .source = packet->key.source, .address = packet->key.address,
				       .identification = packet->identification, .protocol = packet->key.protocol };
}

static __always_inline __u32 hash4(const struct service *service, const struct flow_key4 *key)
{
	return service->flags & BY_FLOW ? jhash_2words(key->source_port, key->source) : jhash_1word(key->source);
}

/* The verdict on a packet, and how it goes to its server. */
static __always_inline int balance4(struct packet4 *packet, struct arrival *arrival, struct outgoing *outgoing)
{
	struct service_key4 service_key;
	struct fragment *first = 0;
	struct flow *flow = 0;
	struct source_key4 source_key;
	struct choice choice = {};
	struct service *service;
	enum reason reason;
	int is_new = 0;
	__u32 now;

	if (!packet || !arrival || !outgoing)
		return PASS;
	now = arrival->now_ns >> TICK_SHIFT;
	if (only_goes_on(packet->part, packet->tcp_flags)) {
		flow = bpf_map_lookup_elem(&flows4, &packet->key);
		service = going_on(flow, arrival, now, &choice);
		if (service)
			return sent(arrival, service, &choice, 0, outgoing);
	}
	if (packet->part == LATER_FRAGMENT) {
		struct fragment_key4 key = fragment_key4(packet);

		first = bpf_map_lookup_elem(&fragments4, &key);
		if (!first || !within(now, first->seen, FRAGMENT_TICKS))
			return passed(NO_FIRST_FRAGMENT);
		packet->key.port = first->port;
	}
	service_key.address = packet->key.address;
	service_key.where = where(packet->key.port, packet->key.protocol);
	service = bpf_map_lookup_elem(&services4, &service_key);
	if (!service)
		return passed(NOT_OURS);
	reason = admitted(arrival, service);
	if (reason != SENT)
		return passed(reason);
	if (first) {
		if (!is_there(first->server, first->stamp, KEEPS, &choice))
			return passed(NO_FIRST_FRAGMENT);
		return sent(arrival, service, &choice, 0, outgoing);
	}
	source_key = (struct source_key4){ service->id, packet->key.source & service->source_mask[0] };
	struct request request = { service, now, packet->part, packet->tcp_flags, flow };
	struct tables tables = { &flows4, &new_flows4, &sources4, &packet->key, &source_key, 0 };

	switch (find(&tables, &request, &choice)) {
	case ITS_SERVER:
		if (service->persistence && packet->part != QUOTED)
			touch(&tables, &request, &choice);
		break;
	case WAIT:
		return passed(HELD_UP);
	default:
		reason = begin(&tables, &request, hash4(service, &packet->key), &choice);
		if (reason != SENT)
			return passed(reason);
		is_new = packet->part != QUOTED;
	}
	if (packet->part == FIRST_FRAGMENT) {
		struct fragment_key4 key = fragment_key4(packet);
		struct fragment fragment = { choice.number, choice.stamp, request.now, packet->key.port,
					     packet->key.protocol, 0 };

		bpf_map_update_elem(&fragments4, &key, &fragment, BPF_ANY);
	}
	return sent(arrival, service, &choice, is_new, outgoing);
}

/* --- IPv6 -------------------------------------------------------------------------------------------------------- */

static __always_inline void fragment_key6(const struct packet6 *packet, struct fragment_key6 *key)
{
	copy6(key->source, packet->key.source);
	copy6(key->address, packet->key.address);
	key->identification = packet->identification;
}

static __always_inline __u32 hash6(const struct service *service, const struct flow_key6 *key)
{
	return service->flags & BY_FLOW ? jhash_5words(key->source_port, key->source) : jhash_4words(key->source);
}

/* Proved by itself, after which the extension headers that led here are of no matter. */
__noinline int balance6(struct packet6 *packet, struct arrival *arrival, struct outgoing *outgoing)
{
	struct fragment *first = 0;
	struct flow *flow = 0;
	union {			/* one after the other: the stack has no room for all */
		struct service_key6 service;
		struct source_key6 source;
		struct fragment_key6 fragment;
	} key;
	struct choice choice = {};
	struct service *service;
	enum reason reason;
	int is_new = 0;
	__u32 now;

	if (!packet || !arrival || !outgoing)
		return PASS;
	now = arrival->now_ns >> TICK_SHIFT;
	if (only_goes_on(packet->part, packet->tcp_flags)) {
		flow = bpf_map_lookup_elem(&flows6, &packet->key);
		service = going_on(flow, arrival, now, &choice);
		if (service)
			return sent(arrival, service, &choice, 0, outgoing);
	}
	if (packet->part == LATER_FRAGMENT) {
		fragment_key6(packet, &key.fragment);
		first = bpf_map_lookup_elem(&fragments6, &key.fragment);
		if (!first || !within(now, first->seen, FRAGMENT_TICKS))
			return passed(NO_FIRST_FRAGMENT);
		packet->key.port = first->port;
		packet->key.protocol = first->protocol;
	}
	copy6(key.service.address, packet->key.address);
	key.service.where = where(packet->key.port, packet->key.protocol);
	service = bpf_map_lookup_elem(&services6, &key.service);
	if (!service)
		return passed(NOT_OURS);
	reason = admitted(arrival, service);
	if (reason != SENT)
		return passed(reason);
	if (first) {
		if (!is_there(first->server, first->stamp, KEEPS, &choice))
			return passed(NO_FIRST_FRAGMENT);
		return sent(arrival, service, &choice, 0, outgoing);
	}
	key.source.service = service->id;
	for (int word = 0; word < 4; word++)
		key.source.source[word] = packet->key.source[word] & service->source_mask[word];
	struct request request = { service, now, packet->part, packet->tcp_flags, flow };
	struct tables tables = { &flows6, &new_flows6, &sources6, &packet->key, &key.source, 1 };

	switch (find(&tables, &request, &choice)) {
	case ITS_SERVER:
		if (service->persistence && packet->part != QUOTED)
			touch(&tables, &request, &choice);
		break;
	case WAIT:
		return passed(HELD_UP);
	default:
		reason = begin(&tables, &request, hash6(service, &packet->key), &choice);
		if (reason != SENT)
			return passed(reason);
		is_new = packet->part != QUOTED;
	}
	if (packet->part == FIRST_FRAGMENT) {
		struct fragment fragment = { choice.number, choice.stamp, request.now, packet->key.port,
					     packet->key.protocol, 0 };

		fragment_key6(packet, &key.fragment);
		bpf_map_update_elem(&fragments6, &key.fragment, &fragment, BPF_ANY);
	}
	return sent(arrival, service, &choice, is_new, outgoing);
}

/* --- the hooks --------------------------------------------------------------------------------------------------- */

static __always_inline void rewrite(struct ethhdr *ethernet, const union server_word *way)
{
	__builtin_memcpy(ethernet->h_source, ethernet->h_dest, 6);
	__builtin_memcpy(ethernet->h_dest, way->mac, 6);
}

#define BALANCE(version)								\
static __always_inline enum verdict						\
balance_frame##version(struct ethhdr *ethernet, void *end, struct arrival *arrival,	\
		       struct outgoing *outgoing)					\
{											\
	struct packet##version packet;							\
	enum verdict verdict;								\
											\
	switch (read##version(ethernet + 1, end, &packet)) {				\
	case FOREIGN:									\
		return passed(NOT_OURS);						\
	case SHORT:									\
		return passed(MALFORMED);						\
	default:									\
		verdict = balance##version(&packet, arrival, outgoing);			\
		if (verdict == SEND) {							\
			rewrite(ethernet, &outgoing->way);				\
		} else if (verdict == WRAP) {						\
			outgoing->ports = (__u32)packet.key.source_port << 16 | packet.key.port;	\
			outgoing->part = packet.part;					\
			return WRAP##version;						\
		}									\
		return verdict;								\
	}										\
}

BALANCE(4)
BALANCE(6)

static __always_inline enum verdict balance(void *start, void *end, struct arrival *arrival,
					    struct outgoing *outgoing)
{
	struct ethhdr *ethernet = start;

	if ((void *)(ethernet + 1) > end)
		return passed(MALFORMED);
	if (arrival->addressee == MAC_NOT_COMPARED)
		__builtin_memcpy(arrival->destination, ethernet->h_dest, 6);
	switch (ethernet->h_proto) {
	case bpf_htons(ETH_P_IP):
		return balance_frame4(ethernet, end, arrival, outgoing);
	case bpf_htons(ETH_P_IPV6):
		return balance_frame6(ethernet, end, arrival, outgoing);
	default:
		return PASS;
	}
}

SEC("xdp")
int balance_xdp(struct xdp_md *frame)
{
	struct arrival arrival = {
		.now_ns = monotonic(),
		.ifindex = frame->ingress_ifindex,
		.octets = frame->data_end - frame->data - sizeof(struct ethhdr),
		.addressee = MAC_NOT_COMPARED,
	};
	struct outgoing outgoing;

	switch (balance((void *)(long)frame->data, (void *)(long)frame->data_end, &arrival, &outgoing)) {
	case SEND:
		return XDP_TX;
	case WRAP4:
		return wrap4_xdp(frame, &arrival, &outgoing);
	case WRAP6:
		return wrap6_xdp(frame, &arrival, &outgoing);
	case DROP:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

/* Whether the headers that most packets have are readable. Linux sends TCP's headers apart from its data, and to bring
 * some data to them would make room for both anew, for each packet.
 */
static __always_inline int has_usual_headers(const struct __sk_buff *frame)
{
	void *end = (void *)(long)frame->data_end;
	struct ethhdr *ethernet = (void *)(long)frame->data;
	struct iphdr *ip4 = (void *)(ethernet + 1);
	struct ipv6hdr *ip6 = (void *)(ethernet + 1);

	if ((void *)(ip4 + 1) + TCP_HEADER > end)
		return 0;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP))
		return ip4->ihl == 5 && is_transport(ip4->protocol);
	return (void *)(ip6 + 1) + TCP_HEADER <= end && ethernet->h_proto == bpf_htons(ETH_P_IPV6) &&
	       is_transport(ip6->nexthdr);
}

SEC("tc")
int balance_tc(struct __sk_buff *frame)
{
	struct arrival arrival = {
		.now_ns = monotonic(),
		.ifindex = frame->ifindex,
		.octets = frame->len - sizeof(struct ethhdr),
		.addressee = frame->pkt_type == PACKET_HOST ? OUR_MAC : OTHER_MAC,
	};
	__u32 readable = frame->data_end - frame->data;
	struct outgoing outgoing;

	if (frame->vlan_present)
		return TC_ACT_UNSPEC;
	if (readable < MOST_HEADERS && readable < frame->len && !has_usual_headers(frame) &&
	    bpf_skb_pull_data(frame, frame->len < MOST_HEADERS ? frame->len : MOST_HEADERS))
		return TC_ACT_UNSPEC;
	switch (balance((void *)(long)frame->data, (void *)(long)frame->data_end, &arrival, &outgoing)) {
	case SEND:
		return bpf_redirect(frame->ifindex, 0);
	case WRAP4:
		return wrap4_tc(frame, &arrival, &outgoing);
	case WRAP6:
		return wrap6_tc(frame, &arrival, &outgoing);
	case DROP:
		return TC_ACT_SHOT;
	default:
		return TC_ACT_UNSPEC;
	}
}

/* The kernel asks for a licence that is compatible with its own; of the two above it is the first. */
char licence[] SEC("license") = "GPL";
