/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* CLOCK_MONOTONIC for every packet, without a call for every packet: where returns are guarded against speculation the
 * kernel's coarse clock costs as much as all counters. Jiffies are read in place; when they are others than the last time,
 * the clock is asked.
 */
#ifndef YAOKI_CLOCK_H
#define YAOKI_CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* When a processor has asked last. The program's own. */
struct clock {
	__u64 jiffies;
	__u64 ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock);
} clocks SEC(".maps");

/* In ns; a kernel tick late at most. */
static __always_inline __u64 monotonic(void)
{
	__u64 jiffies = bpf_jiffies64();
	struct clock *clock;
	__u32 first = 0;

	clock = bpf_map_lookup_elem(&clocks, &first);
	if (!clock)
		return bpf_ktime_get_ns();
	if (clock->jiffies != jiffies) {
		clock->jiffies = jiffies;
		clock->ns = bpf_ktime_get_ns();
	}
	return clock->ns;
}

#endif
