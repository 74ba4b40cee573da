// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The end of a tunnel on a host of the lab, whose kernel may have neither ipip nor fou: at the tcx hook, what comes in IP
 * or in UDP of some ports is taken out, and goes up the stack. It asks for no address and knows no outer fragments.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MOST_PORTS 64

/* Of GUE; the value says nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MOST_PORTS);
	__type(key, __be16);
	__type(value, __u8);
} ports SEC(".maps");

/* Octets between Ethernet and the packet inside; 0: there is none. */
static __always_inline __u32 outer(void *transport, void *end, __u8 protocol, __u8 plain, __u32 header)
{
	struct udphdr *udp = transport;

	if (protocol == plain)
		return header;
	if (protocol != IPPROTO_UDP || (void *)(udp + 1) > end || !bpf_map_lookup_elem(&ports, &udp->dest))
		return 0;
	return header + sizeof(*udp);
}

static __always_inline __u32 outer_of(void *start, void *end)
{
	struct ethhdr *ethernet = start;
	struct ipv6hdr *ip6 = (void *)(ethernet + 1);
	struct iphdr *ip = (void *)(ethernet + 1);

	if ((void *)(ip + 1) > end)
		return 0;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP) && ip->ihl == 5)
		return outer(ip + 1, end, ip->protocol, IPPROTO_IPIP, sizeof(*ip));
	if (ethernet->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(ip6 + 1) <= end)
		return outer(ip6 + 1, end, ip6->nexthdr, IPPROTO_IPV6, sizeof(*ip6));
	return 0;
}

SEC("tc")
int tunnel_end(struct __sk_buff *frame)
{
	__u32 octets = outer_of((void *)(long)frame->data, (void *)(long)frame->data_end);

	if (octets && bpf_skb_adjust_room(frame, -(__s32)octets, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

char licence[] SEC("license") = "GPL";
