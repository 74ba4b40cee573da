// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Sends UDP datagrams in frames of 60 octets, without their check sequence the smallest there are, from a number of
 * source ports: as fast as it can, or at a rate.
 *
 *     lb_flood INTERFACE TO-MAC FROM-ADDRESS TO-ADDRESS PORT FLOWS SECONDS RATE      RATE 0: as fast as it can
 *
 * Says how many it has sent, and in how many seconds. The frames are made before the clock starts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define MOST_FLOWS 65536
#define FIRST_PORT 1024

struct frame {
	struct ether_header ether;
	struct iphdr ip;
	struct udphdr udp;
	unsigned char payload[60 - 14 - 20 - 8];
} __attribute__((packed));

static struct frame frames[MOST_FLOWS];
static struct iovec parts[MOST_FLOWS];
static struct mmsghdr messages[MOST_FLOWS];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

static unsigned add(unsigned sum, const void *octets, size_t length)
{
	const unsigned char *at = octets;

	for (; length > 1; length -= 2, at += 2)
		sum += at[0] << 8 | at[1];
	return sum;
}

static unsigned short checksum(unsigned sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static void make(struct frame *frame, const struct frame *model, unsigned short port)
{
	*frame = *model;
	frame->udp.source = htons(port);
	frame->udp.check = checksum(add(add(IPPROTO_UDP + ntohs(frame->udp.len), &frame->ip.saddr, 8), &frame->udp,
					sizeof frame->udp + sizeof frame->payload));
}

static struct frame model(int socket_, char **argument)
{
	struct frame frame = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP } };
	struct ifreq interface = { 0 };
	unsigned char *mac = frame.ether.ether_dhost;

	strncpy(interface.ifr_name, argument[1], IFNAMSIZ - 1);
	if (ioctl(socket_, SIOCGIFHWADDR, &interface))
		fail(argument[1]);
	memcpy(frame.ether.ether_shost, interface.ifr_hwaddr.sa_data, ETH_ALEN);
	if (sscanf(argument[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6 ||
	    inet_pton(AF_INET, argument[3], &frame.ip.saddr) != 1 || inet_pton(AF_INET, argument[4], &frame.ip.daddr) != 1) {
		fprintf(stderr, "%s %s %s: no MAC and two IPv4 addresses\n", argument[2], argument[3], argument[4]);
		exit(2);
	}
	frame.ether.ether_type = htons(ETHERTYPE_IP);
	frame.ip.tot_len = htons(sizeof frame - sizeof frame.ether);
	frame.ip.frag_off = htons(IP_DF);
	frame.ip.check = checksum(add(0, &frame.ip, sizeof frame.ip));
	frame.udp.dest = htons(atoi(argument[5]));
	frame.udp.len = htons(sizeof frame.udp + sizeof frame.payload);
	return frame;
}

static int opened(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(interface) };
	int socket_ = socket(AF_PACKET, SOCK_RAW, 0), yes = 1;

	if (socket_ < 0 || setsockopt(socket_, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes) ||
	    bind(socket_, (struct sockaddr *)&at, sizeof at))
		fail(interface);
	return socket_;
}

int main(int count, char **argument)
{
	unsigned long sent = 0, flows, next = 0, batch;
	double seconds, rate, began, took;
	struct frame like;
	int socket_, done;

	if (count != 9)
		return fprintf(stderr, "usage: lb_flood INTERFACE TO-MAC FROM TO PORT FLOWS SECONDS RATE\n"), 2;
	flows = strtoul(argument[6], NULL, 10);
	seconds = atof(argument[7]);
	rate = atof(argument[8]);
	if (flows < 1 || flows + FIRST_PORT > MOST_FLOWS)
		return fprintf(stderr, "%s flows: between 1 and %d\n", argument[6], MOST_FLOWS - FIRST_PORT), 2;
	socket_ = opened(argument[1]);
	like = model(socket_, argument);
	for (unsigned long flow = 0; flow < flows; flow++) {
		make(frames + flow, &like, FIRST_PORT + flow);
		parts[flow] = (struct iovec){ frames + flow, sizeof *frames };
		messages[flow].msg_hdr = (struct msghdr){ .msg_iov = parts + flow, .msg_iovlen = 1 };
	}
	began = now();
	while ((took = now() - began) < seconds) {
		if (rate > 0 && sent > took * rate) {
			usleep((sent - took * rate) * 1e6 / rate);
			continue;
		}
		batch = flows - next < BATCH ? flows - next : BATCH;
		done = sendmmsg(socket_, messages + next, batch, 0);
		if (done < 0 && errno != ENOBUFS)
			fail("sendmmsg");
		sent += done > 0 ? done : 0;
		next = done > 0 ? (next + done) % flows : next;
	}
	printf("%lu %.6f\n", sent, took);
	return 0;
}
