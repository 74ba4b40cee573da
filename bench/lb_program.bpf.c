// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* A front for BPF_PROG_TEST_RUN, which does not restore the packet between repeats: it restores it, makes it one of a
 * number of flows, and calls the program under test. Its own cost is measured with `answer` in the program's place.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define SHORT_FRAME 64
#define LONG_FRAME 128

struct template {
	__u8 frame[LONG_FRAME];
	__u32 is_long;
	__u32 mask;		/* flows - 1, a power of two less one */
	__u32 sequence;
	__u32 port_at;		/* where the source port is; 0: all frames alike */
	__u32 address_at;	/* where the last two octets of the source address are */
	__u32 flags_at;		/* where the flags of TCP are; 0: they stay */
	__u32 packets;		/* of one flow, one after another: a SYN first, a FIN last, ACK between them */
	__u32 packet;		/* how many of them there were */
};

#define FIN_ACK 0x11
#define SYN 0x02
#define ACK 0x10

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct template);
} templates SEC(".maps");

#define TARGET(name)					\
	struct {					\
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);	\
		__uint(max_entries, 1);			\
		__uint(key_size, 4);			\
		__uint(value_size, 4);			\
	} name SEC(".maps")

TARGET(target_xdp);
TARGET(target_tc);

static __always_inline int set(void *start, void *end, __u32 at, __u16 value)
{
	start += at & 0xff;
	if (start + 2 > end)
		return 0;
	*(__u16 *)start = value;
	return 1;
}

static __always_inline int restore(void *start, void *end)
{
	struct template *template;
	__u32 first = 0, flow;

	template = bpf_map_lookup_elem(&templates, &first);
	if (!template || start + SHORT_FRAME > end)
		return 0;
	if (template->is_long) {
		if (start + LONG_FRAME > end)
			return 0;
		__builtin_memcpy(start, template->frame, LONG_FRAME);
	} else {
		__builtin_memcpy(start, template->frame, SHORT_FRAME);
	}
	if (!template->port_at)
		return 1;
	/* one to one: no two sequence numbers give the same flow */
	flow = (template->sequence & template->mask) * 2654435761u;
	if (!template->flags_at) {
		template->sequence++;
	} else {
		int is_last = template->packet + 1 == template->packets;
		__u8 *flags = start + (template->flags_at & 0xff);

		if ((void *)(flags + 1) > end)
			return 0;
		*flags = is_last ? FIN_ACK : template->packet ? ACK : SYN;
		template->packet = is_last ? 0 : template->packet + 1;
		template->sequence += is_last;
	}
	return set(start, end, template->port_at, flow) && set(start, end, template->address_at, flow >> 16);
}

/* Without the outer headers that the program under test has put before it. */
static __always_inline void shorten(struct xdp_md *frame)
{
	struct template *template;
	__u32 first = 0;
	int excess;

	template = bpf_map_lookup_elem(&templates, &first);
	if (!template)
		return;
	excess = (int)(frame->data_end - frame->data) - (template->is_long ? LONG_FRAME : SHORT_FRAME);
	if (excess > 0)
		bpf_xdp_adjust_head(frame, excess);
}

SEC("xdp")
int front_xdp(struct xdp_md *frame)
{
	shorten(frame);
	if (restore((void *)(long)frame->data, (void *)(long)frame->data_end))
		bpf_tail_call(frame, &target_xdp, 0);
	return XDP_ABORTED;
}

SEC("tc")
int front_tc(struct __sk_buff *frame)
{
	if (restore((void *)(long)frame->data, (void *)(long)frame->data_end))
		bpf_tail_call(frame, &target_tc, 0);
	return TC_ACT_STOLEN;
}

SEC("xdp")
int answer_xdp(struct xdp_md *frame __attribute__((unused)))
{
	return XDP_TX;
}

SEC("tc")
int answer_tc(struct __sk_buff *frame __attribute__((unused)))
{
	return TC_ACT_REDIRECT;
}

char licence[] SEC("license") = "GPL";
