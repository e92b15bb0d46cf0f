// SPDX-License-Identifier: GPL-2.0-only
/* The writer of pcap_writer.h. Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. */
#include "pcap_writer.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ULL

/* A block's body, put together before its length is known. */
struct body {
	uint32_t len;
	uint8_t data[1024];
};

static void put(uint8_t *to, uint64_t v, uint32_t bytes, bool big_endian)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(v >> 8 * (big_endian ? bytes - 1 - i : i));
}

static void write_number(struct pcap_writer *w, uint64_t v, uint32_t bytes)
{
	uint8_t number[8];

	put(number, v, bytes, w->big_endian);
	fwrite(number, 1, bytes, w->file);
}

static void add_number(struct pcap_writer *w, struct body *b, uint64_t v, uint32_t bytes)
{
	if (b->len + bytes > sizeof(b->data))
		abort();
	put(b->data + b->len, v, bytes, w->big_endian);
	b->len += bytes;
}

/* An option whose value is a number; padded to 32 bits. */
static void add_option(struct pcap_writer *w, struct body *b, uint32_t code, uint64_t v,
		       uint32_t bytes)
{
	add_number(w, b, code, 2);
	add_number(w, b, bytes, 2);
	add_number(w, b, v, bytes);
	while (b->len % 4)
		add_number(w, b, 0, 1);
}

/* A time as two words, the higher one first. */
static void add_words(struct pcap_writer *w, struct body *b, uint64_t v)
{
	add_number(w, b, v >> 32, 4);
	add_number(w, b, v & 0xffffffff, 4);
}

static void add_time_option(struct pcap_writer *w, struct body *b, uint32_t code, uint64_t units)
{
	add_number(w, b, code, 2);
	add_number(w, b, 8, 2);
	add_words(w, b, units);
}

/* Units of the interface's resolution since its offset. */
static uint64_t units_of(const struct pcap_interface *i, uint64_t time_ns)
{
	uint8_t resolution = i->resolution ? i->resolution : 6;
	unsigned __int128 per_s = 1;

	time_ns -= (uint64_t)i->offset_s * NS_PER_S;
	if (resolution & 0x80)
		per_s <<= resolution & 0x7f;
	else
		for (uint8_t n = 0; n < resolution; n++)
			per_s *= 10;
	return (uint64_t)(time_ns * per_s / NS_PER_S);
}

void pcap_write_block(struct pcap_writer *w, uint32_t type, const void *body, uint32_t len)
{
	uint32_t padded = (len + 3) & ~3U;

	write_number(w, type, 4);
	write_number(w, padded + 12, 4);
	fwrite(body, 1, len, w->file);
	fwrite("\0\0\0", 1, padded - len, w->file);
	write_number(w, padded + 12, 4);
}

void pcap_write_section(struct pcap_writer *w)
{
	struct body b = { 0 };

	add_number(w, &b, 0x1a2b3c4d, 4);
	add_number(w, &b, 1, 2);
	add_number(w, &b, 0, 2);
	add_number(w, &b, UINT64_MAX, 8); /* length of the section: not known */
	pcap_write_block(w, 0x0a0d0d0a, b.data, b.len);
	w->interfaces = 0;
}

void pcap_write_interface(struct pcap_writer *w, const struct pcap_interface *i)
{
	struct body b = { 0 };

	if (w->interfaces == PCAP_WRITER_INTERFACES)
		abort();
	w->interface[w->interfaces++] = *i;
	add_number(w, &b, i->link, 2);
	add_number(w, &b, 0, 2);
	add_number(w, &b, i->snaplen, 4);
	if (i->resolution)
		add_option(w, &b, 9, i->resolution, 1);
	if (i->offset_s)
		add_option(w, &b, 14, (uint64_t)i->offset_s, 8);
	if (i->resolution || i->offset_s)
		add_number(w, &b, 0, 4);
	pcap_write_block(w, 1, b.data, b.len);
}

void pcap_writer_start(struct pcap_writer *w, FILE *file, bool ng, bool big_endian,
		       const struct pcap_interface *first)
{
	*w = (struct pcap_writer){ .file = file, .ng = ng, .big_endian = big_endian };
	if (ng) {
		pcap_write_section(w);
		pcap_write_interface(w, first);
		return;
	}
	w->interface[w->interfaces++] = *first;
	write_number(w, first->resolution == 9 ? 0xa1b23c4d : 0xa1b2c3d4, 4);
	write_number(w, 2, 2);
	write_number(w, 4, 2);
	write_number(w, 0, 8);
	write_number(w, first->snaplen, 4);
	write_number(w, first->link, 4);
}

void pcap_write_on(struct pcap_writer *w, uint32_t interface, uint64_t time_ns, const void *data,
		   uint32_t captured, uint32_t len)
{
	uint64_t units = units_of(&w->interface[interface], time_ns);
	uint32_t padded = (captured + 3) & ~3U;

	write_number(w, 6, 4);
	write_number(w, padded + 32, 4);
	write_number(w, interface, 4);
	write_number(w, units >> 32, 4);
	write_number(w, units & 0xffffffff, 4);
	write_number(w, captured, 4);
	write_number(w, len, 4);
	fwrite(data, 1, captured, w->file);
	fwrite("\0\0\0", 1, padded - captured, w->file);
	write_number(w, padded + 32, 4);
}

void pcap_write(struct pcap_writer *w, uint64_t time_ns, const void *data, uint32_t captured,
		uint32_t len)
{
	if (w->ng) {
		pcap_write_on(w, 0, time_ns, data, captured, len);
		return;
	}
	write_number(w, time_ns / NS_PER_S, 4);
	write_number(w, time_ns % NS_PER_S / (w->interface[0].resolution == 9 ? 1 : 1000), 4);
	write_number(w, captured, 4);
	write_number(w, len, 4);
	fwrite(data, 1, captured, w->file);
}

void pcap_write_simple(struct pcap_writer *w, const void *data, uint32_t len)
{
	uint32_t padded = (len + 3) & ~3U;

	write_number(w, 3, 4);
	write_number(w, padded + 16, 4);
	write_number(w, len, 4);
	fwrite(data, 1, len, w->file);
	fwrite("\0\0\0", 1, padded - len, w->file);
	write_number(w, padded + 16, 4);
}

void pcap_write_statistics(struct pcap_writer *w, const struct pcap_statistics *s)
{
	const struct pcap_interface *i = &w->interface[s->interface % PCAP_WRITER_INTERFACES];
	struct body b = { 0 };

	add_number(w, &b, s->interface, 4);
	add_words(w, &b, units_of(i, s->time_ns));
	if (s->start_ns)
		add_time_option(w, &b, 2, units_of(i, s->start_ns));
	if (s->end_ns)
		add_time_option(w, &b, 3, units_of(i, s->end_ns));
	if (s->dropped_if)
		add_option(w, &b, 5, s->dropped_if, 8);
	if (s->dropped_os)
		add_option(w, &b, 7, s->dropped_os, 8);
	add_number(w, &b, 0, 4);
	pcap_write_block(w, 5, b.data, b.len);
}

__u32 pcap_convert(__u32 link, const struct pkt *p, __u8 *to)
{
	bool ipv6 = p->data[p->l3_off] >> 4 == 6;
	__u8 sll[16] = { 0, 0, 0, 1, 0, 6, 0, 0x24, 0x14, 0x2d, 1, 2, 0, 0, 8, 0 };
	__u8 sll2[20] = { 8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 0, 0x24, 0x14, 0x2d, 1, 2 };
	__u8 null[4] = { ipv6 ? 30 : 2 }, loop[4] = { 0, 0, 0, ipv6 ? 24 : 2 };
	__u32 len = 0, from = p->l3_off;

	switch (link) {
	case PCAP_LINK_ETHERNET:
		from = 0;
		break;
	case PCAP_LINK_SLL:
		/* The type as in Ethernet, and what follows it: perhaps a tag. */
		from = 14;
		len = sizeof(sll);
		memcpy(sll + 14, p->data + 12, 2);
		memcpy(to, sll, len);
		break;
	case PCAP_LINK_SLL2:
		from = 14;
		len = sizeof(sll2);
		memcpy(sll2, p->data + 12, 2);
		memcpy(to, sll2, len);
		break;
	case PCAP_LINK_NULL:
		len = sizeof(null);
		memcpy(to, null, len);
		break;
	case PCAP_LINK_LOOP:
		len = sizeof(loop);
		memcpy(to, loop, len);
		break;
	default:
		break;
	}
	memcpy(to + len, p->data + from, p->len - from);
	return len + p->len - from;
}
