/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* To a server across routers: the packet as it is inside another one, in IP (RFC 2003, RFC 2473) or in UDP in IP (Generic
 * UDP Encapsulation, draft-ietf-intarea-gue-09, variant 1: nothing between UDP and the packet).
 *
 * The outer packet is never fragmented. What would not fit is dropped, and its sender told how large a packet may be:
 * RFC 792 with RFC 1191, RFC 4443. So it is for IPv4 without DF, too, which a router would cut in pieces: a sender that
 * heeds it cuts by itself, and fragments are balanced.
 *
 * Outer headers have one source for all packets to a server, an address of this node, so that no filter of sources on
 * the way is offended. What tells flows apart for those who spread them, at routers and at the server's queues, is the
 * source port of UDP, and for IPv6 the flow label (RFC 6438).
 */
#ifndef YAOKI_TUNNEL_H
#define YAOKI_TUNNEL_H

#include <linux/udp.h>
#include "jhash.h"
#include "packet.h"
#include "tables.h"

#define OUTER_HOPS 64
#define MOST_ERRORS 64		/* of one processor in one tick: some 950 a second (RFC 4443, section 2.4 f) */
#define QUOTED_OCTETS 504	/* of what was too big, so that header and quotation are 512 octets; at most there may be
				 * 548 (RFC 1812, section 4.3.2.3) and 1232 (RFC 4443, section 3.2) */
#define FROM_PORT 49152		/* source ports begin here: RFC 6335, section 6 */
#define IPV4_DONT_FRAGMENT 0x4000
#define INTERNETWORK_CONTROL 0xc0	/* RFC 1812, section 4.3.2.5 */

enum verdict { PASS, SEND, WRAP, WRAP4, WRAP6, DROP };

enum addressee { OTHER_MAC, OUR_MAC, MAC_NOT_COMPARED };

/* How a frame arrived. */
struct arrival {
	__u64 now_ns;		/* CLOCK_MONOTONIC, a kernel tick late at most */
	__u32 ifindex;
	__u32 octets;		/* from the IP header on */
	__u8 destination[6];	/* compared with the service's MAC if nobody else has done it */
	__u16 addressee;
};

/* How a packet leaves; all but `way` is about servers that are TUNNELLED only. */
struct outgoing {
	union server_word way;
	__u32 server, service;
	__u32 is_new;
	__u32 ports;		/* of its flow */
	enum part part;
};

static __always_inline void count_reason(enum reason reason)
{
	__u32 index = reason;
	__u64 *count = bpf_map_lookup_elem(&reasons, &index);

	if (count)
		++*count;
}

static __always_inline void add(void *counts, __u32 index, __u32 octets, int is_new)
{
	struct count *count = bpf_map_lookup_elem(counts, &index);

	if (count) {
		count->packets++;
		count->octets += octets;
		if (is_new)
			count->flows++;
	}
}

static __always_inline void count_sent(__u32 server, __u32 service, __u32 octets, int is_new)
{
	add(&server_counts, server, octets, is_new);
	add(&service_counts, service, octets, is_new);
}

/* RFC 1071, of a whole number of 16-bit words */
static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void fill_udp(struct udphdr *udp, const struct tunnel *tunnel, __u32 hash, __u32 octets)
{
	udp->source = bpf_htons(FROM_PORT | (hash & ~FROM_PORT & 0xffff));
	udp->dest = tunnel->port;
	udp->len = bpf_htons(sizeof(*udp) + octets);
	udp->check = 0;		/* none; for IPv6: RFC 6935, what is inside has its own */
}

/* The largest packet that the kernel makes of TCP segments or UDP datagrams that it has merged, `merged` octets of
 * payload each.
 */
static __always_inline __u32 segment(void *transport, void *end, __u8 protocol, __u32 headers, __u32 merged)
{
	__u32 own = sizeof(struct udphdr);

	if (protocol == IPPROTO_TCP && transport + 14 <= end)
		own = ((__u8 *)transport)[12] >> 4 << 2;
	return headers + own + merged;
}

/* Whether an error may be sent about a packet, and one more at all (RFC 1122, section 3.2.2). */
static __always_inline int may_complain(const struct arrival *arrival, const struct outgoing *outgoing)
{
	__u32 first = 0, tick = arrival->now_ns >> TICK_SHIFT;
	struct errors *sent;

	if (outgoing->part == QUOTED || outgoing->part == LATER_FRAGMENT)
		return 0;
	sent = bpf_map_lookup_elem(&errors_sent, &first);
	if (!sent)
		return 0;
	if (sent->tick != tick)
		*sent = (struct errors){ tick, 0 };
	return sent->count++ < MOST_ERRORS;
}

/* --- IPv4 -------------------------------------------------------------------------------------------------------- */

static __always_inline __u32 halves(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

/* Word by word, and the checksum of what is written, not of what is there: nothing that is just being written is read
 * again, which a processor waits for.
 */
static __always_inline void fill4(struct iphdr *ip, __u8 tos, __u32 octets, __u8 protocol, __be32 source,
				  __be32 destination)
{
	__u32 first = bpf_htonl(0x45000000 | (__u32)tos << 16 | (sizeof(*ip) + octets));
	__u32 second = bpf_htonl(IPV4_DONT_FRAGMENT);
	__u32 third = bpf_htonl((__u32)OUTER_HOPS << 24 | (__u32)protocol << 16);
	__u32 sum = halves(first) + halves(second) + halves(third) + halves(source) + halves(destination);
	__u32 *word = (void *)ip;

	word[0] = first;
	word[1] = second;
	word[2] = third;
	word[3] = source;
	word[4] = destination;
	ip->check = folded(sum);
}

/* RFC 2003, section 3.1, and RFC 6040, section 4.1: the type of service with its ECN field is that of the packet. */
static __always_inline void fill_outer4(struct iphdr *outer, const struct tunnel *tunnel, __u32 class, __u32 octets,
					__u32 udp_octets, __u32 hash __attribute__((unused)))
{
	fill4(outer, class, udp_octets + octets, udp_octets ? IPPROTO_UDP : IPPROTO_IPIP, tunnel->source[0],
	      tunnel->destination[0]);
}

/* For UDP's source port; without UDP nothing. */
static __always_inline __u32 spread4(const struct iphdr *inner, __u32 udp_octets, __u32 ports)
{
	return udp_octets ? jhash_2words(ports, inner->saddr) : 0;
}

static __always_inline __u32 class4(const struct iphdr *ip)
{
	return ip->tos;
}

static __always_inline __u32 length4(const struct iphdr *ip)
{
	return bpf_ntohs(ip->tot_len);
}

static __always_inline __u32 largest4(const struct iphdr *ip, void *end, __u32 merged)
{
	__u32 headers = ip->ihl * 4;

	return merged ? segment((void *)ip + headers, end, ip->protocol, headers, merged) : length4(ip);
}

/* Not to everybody or nobody. */
static __always_inline int may_be_told4(const struct iphdr *ip)
{
	__u32 first = bpf_ntohl(ip->saddr) >> 24;

	return first && first != 127 && first < 224;
}

struct error4 {
	struct iphdr ip;
	struct icmp_header icmp;
};

static __always_inline void fill_error4(struct error4 *error, const struct iphdr *about, __u32 room)
{
	fill4(&error->ip, INTERNETWORK_CONTROL, sizeof(error->icmp) + QUOTED_OCTETS, IPPROTO_ICMP, about->daddr,
	      about->saddr);
	error->icmp = (struct icmp_header){ ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 0, bpf_htonl(room) };
}

/* `icmp` and the quotation are in place. */
static __always_inline __u16 error_checksum4(const struct error4 *error __attribute__((unused)), void *icmp)
{
	return folded(bpf_csum_diff(0, 0, icmp, sizeof(struct icmp_header) + QUOTED_OCTETS, 0));
}

/* --- IPv6 -------------------------------------------------------------------------------------------------------- */

#define TRAFFIC_CLASS 0x0ff00000
#define FLOW_LABEL 0x000fffff

static __always_inline void fill6(struct ipv6hdr *ip, __u32 class_and_label, __u32 octets, __u8 next,
				  const __be32 *source, const __be32 *destination)
{
	*(__be32 *)ip = bpf_htonl(6u << 28 | class_and_label);
	ip->payload_len = bpf_htons(octets);
	ip->nexthdr = next;
	ip->hop_limit = OUTER_HOPS;
	copy6(ip->saddr.in6_u.u6_addr32, source);
	copy6(ip->daddr.in6_u.u6_addr32, destination);
}

static __always_inline void fill_outer6(struct ipv6hdr *outer, const struct tunnel *tunnel, __u32 class, __u32 octets,
					__u32 udp_octets, __u32 hash)
{
	fill6(outer, class | (hash & FLOW_LABEL), udp_octets + octets, udp_octets ? IPPROTO_UDP : IPPROTO_IPV6,
	      tunnel->source, tunnel->destination);
}

/* For the flow label, and UDP's source port. */
static __always_inline __u32 spread6(const struct ipv6hdr *inner, __u32 udp_octets __attribute__((unused)),
				     __u32 ports)
{
	return jhash_5words(ports, inner->saddr.in6_u.u6_addr32);
}

static __always_inline __u32 class6(const struct ipv6hdr *ip)
{
	return bpf_ntohl(*(__be32 *)ip) & TRAFFIC_CLASS;
}

static __always_inline __u32 length6(const struct ipv6hdr *ip)
{
	return sizeof(*ip) + bpf_ntohs(ip->payload_len);
}

static __always_inline __u32 largest6(const struct ipv6hdr *ip, void *end, __u32 merged)
{
	return merged ? segment((void *)(ip + 1), end, ip->nexthdr, sizeof(*ip), merged) : length6(ip);
}

static __always_inline int may_be_told6(const struct ipv6hdr *ip)
{
	const __be32 *word = ip->saddr.in6_u.u6_addr32;

	return ip->saddr.in6_u.u6_addr8[0] != 0xff && (word[0] | word[1] | word[2] | word[3]);
}

struct error6 {
	struct ipv6hdr ip;
	struct icmp_header icmp;
};

static __always_inline void fill_error6(struct error6 *error, const struct ipv6hdr *about, __u32 room)
{
	fill6(&error->ip, 0, sizeof(error->icmp) + QUOTED_OCTETS, IPPROTO_ICMPV6, about->daddr.in6_u.u6_addr32,
	      about->saddr.in6_u.u6_addr32);
	error->icmp = (struct icmp_header){ ICMPV6_TOO_BIG, 0, 0, bpf_htonl(room) };
}

/* RFC 8200, section 8.1: addresses, length and next header are summed as well. */
static __always_inline __u16 error_checksum6(struct error6 *error, void *icmp)
{
	const __u32 octets = sizeof(struct icmp_header) + QUOTED_OCTETS;
	__u32 sum = bpf_csum_diff(0, 0, error->ip.saddr.in6_u.u6_addr32, 2 * sizeof(error->ip.saddr),
				  bpf_htons(octets) + bpf_htons(IPPROTO_ICMPV6));

	return folded(bpf_csum_diff(0, 0, icmp, octets, sum));
}

/* --- the hooks --------------------------------------------------------------------------------------------------- */

#define ROOM_FLAGS4 BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
#define ROOM_FLAGS6 BPF_F_ADJ_ROOM_ENCAP_L3_IPV6

static __always_inline long make_room_tc(struct __sk_buff *frame, __u32 octets, __u64 flags)
{
	return bpf_skb_adjust_room(frame, octets, BPF_ADJ_ROOM_MAC, flags);
}

static __always_inline long make_room_xdp(struct xdp_md *frame, __u32 octets,
					  __u64 flags __attribute__((unused)))
{
	return bpf_xdp_adjust_head(frame, -(int)octets);
}

static __always_inline long cut_tc(struct __sk_buff *frame, __u32 octets)
{
	return bpf_skb_pull_data(frame, octets) || bpf_skb_change_tail(frame, octets, 0);
}

static __always_inline long cut_xdp(struct xdp_md *frame, __u32 octets)
{
	return bpf_xdp_adjust_tail(frame, (int)octets - (int)(frame->data_end - frame->data));
}

static __always_inline int leave_tc(const struct arrival *arrival __attribute__((unused)), __u32 ifindex)
{
	return bpf_redirect(ifindex, 0);
}

static __always_inline int leave_xdp(const struct arrival *arrival, __u32 ifindex)
{
	return ifindex == arrival->ifindex ? XDP_TX : bpf_redirect(ifindex, 0);
}

static __always_inline __u32 merged_tc(const struct __sk_buff *frame)
{
	return frame->gso_size;
}

static __always_inline __u32 merged_xdp(const struct xdp_md *frame __attribute__((unused)))
{
	return 0;
}

/* The packet goes inside another one; or its sender is told that it is too big. To be a part of the program saves IPv4 a
 * call, 7 ns of 105 where returns are guarded against speculation; with IPv6's the stack would be too large.
 */
#define TUNNEL(version, header, hook, context, dropped, as_a_part)						\
static __noinline int complain##version##_##hook(context *frame, const struct arrival *arrival, __u32 room)	\
{														\
	void *start = (void *)(long)frame->data, *end = (void *)(long)frame->data_end;				\
	struct ethhdr ethernet, *reply = start;									\
	struct error##version error;										\
	struct icmp_header *icmp;										\
														\
	if (start + sizeof(ethernet) + sizeof(struct header) > end)						\
		return dropped;											\
	ethernet = *reply;											\
	fill_error##version(&error, start + sizeof(ethernet), room);						\
	if (cut_##hook(frame, sizeof(ethernet) + QUOTED_OCTETS) || make_room_##hook(frame, sizeof(error), 0))	\
		return dropped;											\
	start = (void *)(long)frame->data;									\
	end = (void *)(long)frame->data_end;									\
	if (start + sizeof(ethernet) + sizeof(error) + QUOTED_OCTETS > end)					\
		return dropped;											\
	reply = start;												\
	__builtin_memcpy(reply->h_dest, ethernet.h_source, 6);							\
	__builtin_memcpy(reply->h_source, ethernet.h_dest, 6);							\
	reply->h_proto = ethernet.h_proto;									\
	__builtin_memcpy(reply + 1, &error, sizeof(error));							\
	icmp = (void *)(reply + 1) + sizeof(struct header);							\
	icmp->checksum = error_checksum##version(&error, icmp);							\
	return leave_##hook(arrival, arrival->ifindex);								\
}														\
														\
static as_a_part int wrap##version##_##hook(context *frame, const struct arrival *arrival,			\
					     const struct outgoing *outgoing)					\
{														\
	void *start = (void *)(long)frame->data, *end = (void *)(long)frame->data_end;				\
	struct tunnel *tunnel = bpf_map_lookup_elem(&tunnels, &outgoing->server);				\
	__u64 flags = ROOM_FLAGS##version | BPF_F_ADJ_ROOM_FIXED_GSO;						\
	struct header *outer, *inner = start + sizeof(struct ethhdr);						\
	__u32 octets, class, hash, udp_octets;									\
	struct ethhdr *ethernet;										\
	struct udphdr *udp;											\
														\
	if (!tunnel || (void *)(inner + 1) > end)								\
		return dropped;											\
	udp_octets = tunnel->port ? sizeof(*udp) : 0;								\
	octets = length##version(inner);									\
	class = class##version(inner);										\
	hash = spread##version(inner, udp_octets, outgoing->ports);						\
	if (largest##version(inner, end, merged_##hook(frame)) > tunnel->room ||				\
	    octets + sizeof(*outer) + sizeof(*udp) > 0xffff) {							\
		if (may_be_told##version(inner) && may_complain(arrival, outgoing)) {				\
			count_reason(TOO_BIG);									\
			return complain##version##_##hook(frame, arrival, tunnel->room);			\
		}												\
		count_reason(TOO_BIG_UNTOLD);									\
		return dropped;											\
	}													\
	if (udp_octets)												\
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;								\
	if (make_room_##hook(frame, sizeof(*outer) + udp_octets, flags)) {					\
		count_reason(NO_HEADROOM);									\
		return dropped;											\
	}													\
	count_sent(outgoing->server, outgoing->service, arrival->octets, outgoing->is_new);			\
	ethernet = (void *)(long)frame->data;									\
	outer = (void *)(ethernet + 1);										\
	udp = (void *)(outer + 1);										\
	if ((void *)(udp + 1) > (void *)(long)frame->data_end)							\
		return dropped;											\
	__builtin_memcpy(ethernet->h_dest, outgoing->way.mac, 6);						\
	__builtin_memcpy(ethernet->h_source, tunnel->mac, 6);							\
	ethernet->h_proto = bpf_htons(version == 4 ? ETH_P_IP : ETH_P_IPV6);					\
	fill_outer##version(outer, tunnel, class, octets, udp_octets, hash);					\
	if (udp_octets)												\
		fill_udp(udp, tunnel, hash, octets);								\
	return leave_##hook(arrival, tunnel->ifindex);								\
}

TUNNEL(4, iphdr, xdp, struct xdp_md, XDP_DROP, __always_inline)
TUNNEL(6, ipv6hdr, xdp, struct xdp_md, XDP_DROP, __noinline)
TUNNEL(4, iphdr, tc, struct __sk_buff, TC_ACT_SHOT, __always_inline)
TUNNEL(6, ipv6hdr, tc, struct __sk_buff, TC_ACT_SHOT, __noinline)

#endif
