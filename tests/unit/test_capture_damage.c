// SPDX-License-Identifier: GPL-2.0-only
/*
 * Captures that are cut, damaged or none at all: what can be read is read, what is missing is said
 * with file and position, and nothing crashes.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "captures.h"

#define MS 1000000ULL

enum {
	ROOM = 1 << 16,
	PACKETS = 6,
};

static const struct pcap_interface ethernet = { .link = PCAP_LINK_ETHERNET,
						.snaplen = 65535,
						.resolution = 9 };
static uint8_t whole[ROOM], packed[ROOM], changed[ROOM];
static size_t ends[PACKETS + 1]; /* where packet n (from 1) ends; 0: the headers */

static size_t make(bool ng, bool big_endian)
{
	struct cap c;
	struct pkt p;
	size_t n;

	cap_begin(&c, ng, big_endian, &ethernet);
	ends[0] = (size_t)ftell(c.w.file);
	for (__u32 i = 0; i < PACKETS; i++) {
		cap_packet(i, &p);
		pcap_write(&c.w, CAP_START_NS + i * MS, p.data, p.len, p.len);
		ends[i + 1] = (size_t)ftell(c.w.file);
	}
	cap_end(&c);
	n = cap_load(&c, whole, ROOM);
	cap_close(&c);
	return n;
}

static const struct cap_result *read_bytes(const void *data, size_t len)
{
	static struct cap c;
	const struct cap_result *r;

	cap_bytes(&c, data, len);
	r = cap_read(&c);
	cap_close(&c);
	return r;
}

static void expect_start(const struct cap_result *r, size_t count)
{
	cr_assert_eq(r->count, count, "%zu instead of %zu", r->count, count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(r->seen[i].segment.seq, CAP_SEQ((__u32)i));
}

static size_t packets_before(size_t len)
{
	size_t n = 0;

	while (n < PACKETS && ends[n + 1] <= len)
		n++;
	return n;
}

Test(capture_damage, cut_at_every_byte)
{
	for (int kind = 0; kind < 4; kind++) {
		size_t len = make(kind & 1, kind & 2);

		for (size_t cut = 0; cut < len; cut++) {
			const struct cap_result *r = read_bytes(whole, cut);
			size_t n = packets_before(cut);
			char position[64];

			if (cut < ends[0]) {
				cr_assert_lt(r->status, 0, "cut at %zu", cut);
				cr_assert_not_null(strstr(r->error.text, "/proc/self/fd/"));
				continue;
			}
			cr_assert_eq(r->status, 0, "%s", r->error.text);
			expect_start(r, n);
			if (cut == ends[n]) { /* nothing shows that there was more */
				cr_assert_eq(r->files[0].end, KL_CAPTURE_COMPLETE);
				continue;
			}
			cr_assert_eq(r->files[0].end, KL_CAPTURE_TRUNCATED);
			cr_assert_eq(r->incomplete, 1);
			cr_assert_eq(r->files[0].end_packet, n);
			cr_assert_eq(r->files[0].end_bytes, cut);
			snprintf(position, sizeof(position), "cut off in packet %zu, at byte %zu",
				 n + 1, cut);
			cr_assert_not_null(strstr(r->files[0].end_text, position), "%s",
					   r->files[0].end_text);
		}
	}
}

Test(capture_damage, gzip_cut_at_every_byte)
{
	for (int ng = 0; ng < 2; ng++) {
		size_t len = make(ng, false), n = cap_pack(whole, len, packed, ROOM), last = 0;

		for (size_t cut = 0; cut < n; cut++) {
			const struct cap_result *r = read_bytes(packed, cut);

			if (r->status < 0) {
				cr_assert_eq(last, 0);
				cr_assert_neq(r->error.text[0], 0);
				continue;
			}
			/* The trailer alone may be missing: then all packets are there. */
			expect_start(r, r->count);
			cr_assert_geq(r->count, last);
			last = r->count;
			cr_assert_eq(r->files[0].end, KL_CAPTURE_TRUNCATED);
			cr_assert_not_null(strstr(r->files[0].end_text, "gzip data end early"));
		}
		cr_assert_eq(last, PACKETS);
	}
}

Test(capture_damage, gzip_damaged_at_every_byte)
{
	size_t len = make(true, false), n = cap_pack(whole, len, packed, ROOM);

	for (size_t at = 2; at < n; at++) {
		const struct cap_result *r;

		memcpy(changed, packed, n);
		changed[at] ^= 0x55;
		r = read_bytes(changed, n);
		cr_assert(r->status < 0 || r->count <= PACKETS);
		if (r->status < 0)
			cr_assert_neq(r->error.text[0], 0);
		/* All but the header is covered by the checksum. */
		if (at >= 18)
			cr_assert(r->status < 0 || r->incomplete == 1, "byte %zu", at);
	}
}

/* Each byte of each format, with several values: nothing crashes, and what is said is consistent. */
Test(capture_damage, damaged_at_every_byte)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff, 0x55 };

	for (int kind = 0; kind < 4; kind++) {
		size_t len = make(kind & 1, kind & 2);

		for (size_t i = 0; i < len * sizeof(masks); i++) {
			const struct cap_result *r;

			memcpy(changed, whole, len);
			changed[i / sizeof(masks)] ^= masks[i % sizeof(masks)];
			r = read_bytes(changed, len);
			if (r->status < 0) {
				cr_assert_neq(r->error.text[0], 0);
				continue;
			}
			cr_assert_leq(r->count, PACKETS);
			cr_assert_eq(r->incomplete == 0, r->files[0].end_text[0] == 0);
			/* What came before the damage is there, whole. */
			if (i / sizeof(masks) >= ends[0])
				cr_assert_geq(r->total.packets, packets_before(i / sizeof(masks)));
		}
	}
}

Test(capture_damage, damage_says_where)
{
	const struct cap_result *r;
	size_t len = make(false, false);

	memset(whole + ends[2] + 8, 0xff, 8); /* lengths that cannot be */
	r = read_bytes(whole, len);
	expect_start(r, 2);
	cr_assert_eq(r->files[0].end, KL_CAPTURE_DAMAGED);
	cr_assert_not_null(strstr(r->files[0].end_text, ": packet 3, before byte "), "%s",
			   r->files[0].end_text);
	len = make(true, false);
	whole[ends[3] + 4] = 0xff; /* a block's length */
	r = read_bytes(whole, len);
	expect_start(r, 3);
	cr_assert_eq(r->files[0].end, KL_CAPTURE_DAMAGED);
	cr_assert_not_null(strstr(r->files[0].end_text, ": packet 4, before byte "), "%s",
			   r->files[0].end_text);
}

/* One damaged file does not keep the others from being read. */
Test(capture_damage, the_other_files_go_on)
{
	size_t len = make(true, false);
	const struct cap_result *r;
	struct cap cut, good;
	const char *paths[2];
	struct pkt p;

	cap_bytes(&cut, whole, len - 5);
	cap_begin(&good, false, false, &ethernet);
	for (__u32 i = 0; i < 10; i++) {
		cap_packet(i, &p);
		pcap_write(&good.w, CAP_START_NS + 1000 * MS, p.data, p.len, p.len);
	}
	cap_end(&good);
	paths[0] = good.path;
	paths[1] = cut.path;
	r = cap_read_paths(paths, 2);
	cr_assert_eq(r->status, 0);
	cr_assert_eq(r->count, PACKETS - 1 + 10);
	cr_assert_eq(r->incomplete, 1);
	cr_assert_eq(r->files[0].end, KL_CAPTURE_COMPLETE);
	cr_assert_eq(r->files[1].end, KL_CAPTURE_TRUNCATED);
	cr_assert_eq(r->range_count, 2);
}

Test(capture_damage, random_bytes)
{
	uint64_t x = 88172645463325252ULL;

	for (int i = 0; i < 2000; i++) {
		size_t len = 24 + (size_t)i % 500;
		const struct cap_result *r;

		make(i & 1, false);
		for (size_t k = i % 3 ? ends[0] : 0; k < len; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			whole[k] = (uint8_t)x;
		}
		r = read_bytes(whole, len);
		if (r->status < 0)
			cr_assert_neq(r->error.text[0], 0);
	}
}

/* ---- What is no capture ---- */

static void expect_error(const char *path, int status, const char *text)
{
	const struct cap_result *r = cap_read_paths(&path, 1);

	cr_assert_eq(r->status, status, "%s: %d: %s", path, r->status, r->error.text);
	cr_assert_not_null(strstr(r->error.text, text), "%s", r->error.text);
	cr_assert_eq(strncmp(r->error.text, path, strlen(path)), 0);
}

Test(capture_damage, no_capture)
{
	static const char text[] = "Jul 2 06:22:16: %SYS-5-CONFIG_I: Configured from console\n";
	const struct pcap_interface radio = { .link = PCAP_LINK_RADIOTAP,
					      .snaplen = 100,
					      .resolution = 6 };
	struct cap empty, lines, packed_lines, tiny;
	uint8_t room[256];

	expect_error("/nowhere/a.pcap", -ENOENT, "No such file");
	expect_error("/tmp", -EISDIR, "is a directory");
	expect_error("/proc/self/mem", -EIO, "Input/output error");
	cap_bytes(&empty, "", 0);
	expect_error(empty.path, -ENODATA, "is empty");
	cap_bytes(&lines, text, sizeof(text) - 1);
	expect_error(lines.path, -EBADMSG, "no capture that can be read");
	cap_bytes(&packed_lines, room, cap_pack(text, sizeof(text), room, sizeof(room)));
	expect_error(packed_lines.path, -EBADMSG, "no capture that can be read");
	cap_bytes(&tiny, "\n", 1);
	expect_error(tiny.path, -EBADMSG, "ends at byte 1");
	for (int ng = 0; ng < 2; ng++) {
		struct cap c;

		cap_begin(&c, ng, false, &radio);
		pcap_write(&c.w, CAP_START_NS, "", 0, 0);
		cap_end(&c);
		expect_error(c.path, -EPROTONOSUPPORT, "link type 127 (IEEE802_11_RADIO)");
	}
}

Test(capture_damage, a_file_named_twice)
{
	const struct cap_result *r;
	char other[64], base[64];
	const char *paths[2];
	struct cap c;

	make(false, false);
	cap_bytes(&c, whole, ends[PACKETS]);
	snprintf(other, sizeof(other), "/dev/fd/%d", c.fd);
	snprintf(base, sizeof(base), "%s", c.path);
	paths[0] = base;
	paths[1] = other;
	r = cap_read_paths(paths, 2);
	cr_assert_eq(r->status, -EINVAL);
	cr_assert_not_null(strstr(r->error.text, "is the same file as"), "%s", r->error.text);
	cr_assert_lt(cap_read_paths(paths, 0)->status, 0);
}

Test(capture_damage, a_capture_without_packets)
{
	for (int ng = 0; ng < 2; ng++) {
		const struct cap_result *r;

		make(ng, false);
		r = read_bytes(whole, ends[0]);
		cr_assert_eq(r->status, 0);
		cr_assert_eq(r->count, 0);
		cr_assert_eq(r->range_count, 0);
		cr_assert_eq(r->files[0].end, KL_CAPTURE_COMPLETE);
	}
}
