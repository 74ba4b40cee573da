/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Bob Jenkins' lookup3 (burtleburtle.net/bob/c/lookup3.c, public domain) over one or four words of a source address,
 * alone or after a port, so that every plane and every node finds the same slot: yaoki/lb/kernel_hash.py is the
 * same in Python.
 */
#ifndef YAOKI_JHASH_H
#define YAOKI_JHASH_H

#include <linux/types.h>

#define SEED 0x59414f4b
#define JHASH_INITIAL 0xdeadbeef

static __always_inline __u32 rol(__u32 word, int bits)
{
	return word << bits | word >> (32 - bits);
}

#define JHASH_MIX(a, b, c)			\
	do {					\
		a = (a - c) ^ rol(c, 4);  c += b;	\
		b = (b - a) ^ rol(a, 6);  a += c;	\
		c = (c - b) ^ rol(b, 8);  b += a;	\
		a = (a - c) ^ rol(c, 16); c += b;	\
		b = (b - a) ^ rol(a, 19); a += c;	\
		c = (c - b) ^ rol(b, 4);  b += a;	\
	} while (0)

static __always_inline __u32 jhash_final(__u32 a, __u32 b, __u32 c)
{
	c = (c ^ b) - rol(b, 14);
	a = (a ^ c) - rol(c, 11);
	b = (b ^ a) - rol(a, 25);
	c = (c ^ b) - rol(b, 16);
	a = (a ^ c) - rol(c, 4);
	b = (b ^ a) - rol(a, 14);
	return (c ^ b) - rol(b, 24);
}

static __always_inline __u32 jhash_1word(__u32 word)
{
	__u32 initial = JHASH_INITIAL + 4 + SEED;

	return jhash_final(initial + word, initial, initial);
}

static __always_inline __u32 jhash_2words(__u32 first, __u32 second)
{
	__u32 initial = JHASH_INITIAL + 8 + SEED;

	return jhash_final(initial + first, initial + second, initial);
}

static __always_inline __u32 jhash_4words(const __u32 *word)
{
	__u32 initial = JHASH_INITIAL + 16 + SEED;
	__u32 a = initial + word[0], b = initial + word[1], c = initial + word[2];

	JHASH_MIX(a, b, c);
	return jhash_final(a + word[3], b, c);
}

static __always_inline __u32 jhash_5words(__u32 first, const __u32 *word)
{
	__u32 initial = JHASH_INITIAL + 20 + SEED;
	__u32 a = initial + first, b = initial + word[0], c = initial + word[1];

	JHASH_MIX(a, b, c);
	return jhash_final(a + word[2], b + word[3], c);
}

#endif
