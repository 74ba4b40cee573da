/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From the octets of a frame to the flow that it belongs to. */
#ifndef YAOKI_PACKET_H
#define YAOKI_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include "tables.h"

#define MOST_EXTENSIONS 6	/* IPv6 extension headers before what they carry; more are nobody's */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IPV4_MORE 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV6_MORE 0x0001
#define IPV6_OFFSET 0xfff8

/* RFC 792 and RFC 4443: of both families' errors the packet that they are about follows. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
};

#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4	/* a code of it */
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMPV6_UNREACHABLE 1	/* 3 is "time exceeded" */
#define ICMPV6_TOO_BIG 2
#define ICMPV6_PARAMETER_PROBLEM 4

/* What came of reading a frame. */
enum reading {
	READ,		/* a packet that may be for a service */
	FOREIGN,	/* none that could be */
	SHORT,		/* the octets at hand end before the headers do */
};

enum part {
	WHOLE,
	FIRST_FRAGMENT,	/* has the ports */
	LATER_FRAGMENT,	/* has none */
	QUOTED,		/* an ICMP error; the flow is that of the packet that it quotes */
};

/* A packet's flow as its client would send it, whatever the packet is. The zeros of `key` are written as well: they are
 * hashed.
 */
#define PACKET(version)				\
	struct packet##version {		\
		struct flow_key##version key;	\
		enum part part;			\
		__u32 identification;		\
		__u8 tcp_flags;			\
	}

PACKET(4);
PACKET(6);

struct fragment_header {
	__u8 next;
	__u8 zero;
	__be16 offset;
	__be32 identification;
};

static __always_inline void copy6(__be32 *to, const void *from)
{
	__builtin_memcpy(to, from, 16);
}

/* Ports and TCP flags, from the start of the transport header. */
static __always_inline enum reading read_transport(void *header, void *end, __u8 protocol, __u32 *ports,
						   __u8 *tcp_flags)
{
	if (header + 8 > end)
		return SHORT;
	*ports = *(__u32 *)header;
	if (protocol == IPPROTO_TCP) {
		if (header + 14 > end)
			return SHORT;
		*tcp_flags = ((__u8 *)header)[13];
	}
	return READ;
}

static __always_inline __be32 protocol_word(__u8 protocol)
{
	return bpf_htonl((__u32)protocol << 24);
}

static __always_inline int is_transport(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* --- IPv4 -------------------------------------------------------------------------------------------------------- */

static __always_inline enum reading read_quoted4(void *header, void *end, struct packet4 *packet)
{
	struct icmp_header *icmp = header;
	struct iphdr *quoted = (void *)(icmp + 1);
	__be16 *ports;

	if ((void *)(icmp + 1) > end)
		return SHORT;
	if (icmp->type != ICMP_UNREACHABLE && icmp->type != ICMP_TIME_EXCEEDED && icmp->type != ICMP_PARAMETER_PROBLEM)
		return FOREIGN;
	if ((void *)(quoted + 1) > end)
		return SHORT;
	if (quoted->version != 4 || quoted->ihl < 5 || quoted->saddr != packet->key.address ||
	    quoted->frag_off & bpf_htons(IPV4_OFFSET) || !is_transport(quoted->protocol))
		return FOREIGN;
	ports = (void *)quoted + quoted->ihl * 4;
	if ((void *)(ports + 2) > end)
		return SHORT;
	packet->part = QUOTED;
	packet->key.source = quoted->daddr;
	packet->key.source_port = ports[1];
	packet->key.port = ports[0];
	packet->key.protocol_word = protocol_word(quoted->protocol);
	return READ;
}

static __always_inline enum reading read4(void *header, void *end, struct packet4 *packet)
{
	struct iphdr *ip = header;
	__u16 fragment;

	if ((void *)(ip + 1) > end)
		return SHORT;
	if (ip->version != 4 || ip->ihl < 5)
		return FOREIGN;
	*packet = (struct packet4){ .key = { .source = ip->saddr, .address = ip->daddr,
					     .protocol_word = protocol_word(ip->protocol) } };
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & (IPV4_MORE | IPV4_OFFSET)) {
		packet->identification = ip->id;
		packet->part = fragment & IPV4_OFFSET ? LATER_FRAGMENT : FIRST_FRAGMENT;
	}
	header += ip->ihl * 4;
	if (is_transport(ip->protocol)) {
		if (packet->part == LATER_FRAGMENT)
			return READ;
		return read_transport(header, end, ip->protocol, &packet->key.ports, &packet->tcp_flags);
	}
	if (ip->protocol == IPPROTO_ICMP && packet->part == WHOLE)
		return read_quoted4(header, end, packet);
	return FOREIGN;
}

/* --- IPv6 -------------------------------------------------------------------------------------------------------- */

static __always_inline enum reading read_quoted6(void *header, void *end, struct packet6 *packet)
{
	struct icmp_header *icmp = header;
	struct ipv6hdr *quoted = (void *)(icmp + 1);
	struct fragment_header *fragment = (void *)(quoted + 1);
	__be16 *ports = (void *)(quoted + 1);
	__be32 address[4];
	__u8 protocol;

	if ((void *)(icmp + 1) > end)
		return SHORT;
	if (icmp->type < ICMPV6_UNREACHABLE || icmp->type > ICMPV6_PARAMETER_PROBLEM)
		return FOREIGN;
	if ((void *)(quoted + 1) > end)
		return SHORT;
	copy6(address, &quoted->saddr);
	if (quoted->version != 6 || address[0] != packet->key.address[0] || address[1] != packet->key.address[1] ||
	    address[2] != packet->key.address[2] || address[3] != packet->key.address[3])
		return FOREIGN;
	protocol = quoted->nexthdr;
	if (protocol == IPPROTO_FRAGMENT) {
		if ((void *)(fragment + 1) > end)
			return SHORT;
		if (fragment->offset & bpf_htons(IPV6_OFFSET))
			return FOREIGN;
		protocol = fragment->next;
		ports = (void *)(fragment + 1);
	}
	if (!is_transport(protocol))
		return FOREIGN;
	if ((void *)(ports + 2) > end)
		return SHORT;
	packet->part = QUOTED;
	copy6(packet->key.source, &quoted->daddr);
	packet->key.source_port = ports[1];
	packet->key.port = ports[0];
	packet->key.protocol_word = protocol_word(protocol);
	return READ;
}

/* Past one extension header (RFC 8200, section 4). READ: `protocol` and `header` are the next ones'. */
static __always_inline enum reading pass_extension(void **header, void *end, __u8 *protocol, struct packet6 *packet)
{
	struct fragment_header *fragment = *header;
	struct ipv6_opt_hdr *options = *header;
	__u16 offset;

	if (*protocol == IPPROTO_FRAGMENT) {
		if ((void *)(fragment + 1) > end)
			return SHORT;
		offset = bpf_ntohs(fragment->offset);
		*protocol = fragment->next;
		*header = fragment + 1;
		/* RFC 6946: a fragment that is all of its packet belongs to no other */
		if (offset & (IPV6_OFFSET | IPV6_MORE)) {
			packet->identification = fragment->identification;
			packet->part = offset & IPV6_OFFSET ? LATER_FRAGMENT : FIRST_FRAGMENT;
		}
		return READ;
	}
	if (*protocol != IPPROTO_HOPOPTS && *protocol != IPPROTO_ROUTING && *protocol != IPPROTO_DSTOPTS)
		return FOREIGN;
	if ((void *)(options + 1) > end)
		return SHORT;
	*protocol = options->nexthdr;
	*header += (options->hdrlen + 1) * 8;
	return READ;
}

static __always_inline enum reading read6(void *header, void *end, struct packet6 *packet)
{
	struct ipv6hdr *ip = header;
	enum reading found;
	__u8 protocol;

	if ((void *)(ip + 1) > end)
		return SHORT;
	if (ip->version != 6)
		return FOREIGN;
	__builtin_memset(packet, 0, sizeof(*packet));
	copy6(packet->key.source, &ip->saddr);
	copy6(packet->key.address, &ip->daddr);
	protocol = ip->nexthdr;
	header = ip + 1;
#pragma unroll
	for (int extensions = 0; extensions < MOST_EXTENSIONS; extensions++) {
		if (is_transport(protocol) || protocol == IPPROTO_ICMPV6 || packet->part == LATER_FRAGMENT)
			break;
		found = pass_extension(&header, end, &protocol, packet);
		if (found != READ)
			return found;
	}
	packet->key.protocol_word = protocol_word(protocol);
	if (packet->part == LATER_FRAGMENT)
		return READ;
	if (is_transport(protocol))
		return read_transport(header, end, protocol, &packet->key.ports, &packet->tcp_flags);
	if (protocol == IPPROTO_ICMPV6 && packet->part == WHOLE)
		return read_quoted6(header, end, packet);
	return FOREIGN;
}

#endif
