// SPDX-License-Identifier: GPL-2.0-only
#include "captures.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

static void create(struct cap *c)
{
	c->fd = memfd_create("capture", MFD_CLOEXEC);
	cr_assert_geq(c->fd, 0);
	snprintf(c->path, sizeof(c->path), "/proc/self/fd/%d", c->fd);
}

void cap_begin(struct cap *c, bool ng, bool big_endian, const struct pcap_interface *first)
{
	FILE *file;

	create(c);
	file = fdopen(dup(c->fd), "wb");
	cr_assert_not_null(file);
	pcap_writer_start(&c->w, file, ng, big_endian, first);
}

void cap_end(struct cap *c)
{
	cr_assert_eq(fclose(c->w.file), 0);
}

void cap_bytes(struct cap *c, const void *data, size_t len)
{
	create(c);
	cr_assert_eq(write(c->fd, data, len), (ssize_t)len);
}

size_t cap_load(const struct cap *c, void *to, size_t room)
{
	ssize_t n = pread(c->fd, to, room, 0);

	cr_assert(n >= 0 && (size_t)n < room);
	return (size_t)n;
}

size_t cap_pack(const void *data, size_t len, void *to, size_t room)
{
	z_stream z = { 0 };
	size_t n;

	cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)len;
	z.next_out = to;
	z.avail_out = (uInt)room;
	cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	n = room - z.avail_out;
	deflateEnd(&z);
	return n;
}

void cap_close(struct cap *c)
{
	close(c->fd);
}

void cap_packet(__u32 n, struct pkt *ret)
{
	struct pkt_payload payload = { 0 };
	struct pkt_spec spec = { .seq = CAP_SEQ(n), .ip_id = (__u16)(n + 1) };

	pkt_sccp_keepalive(&payload);
	spec.payload = payload.data;
	spec.payload_len = payload.len;
	pkt_build(&spec, ret);
}

static void take(struct cap_result *r, const struct kl_captured *s)
{
	struct cap_seen *to = &r->seen[r->count++];
	uint32_t n = s->payload_captured < CAP_PAYLOAD_MAX ? s->payload_captured : CAP_PAYLOAD_MAX;

	cr_assert_lt(r->count, CAP_SEEN_MAX);
	*to = (struct cap_seen){ .time_ns = s->time_ns,
				 .packet = s->packet,
				 .segment = s->segment,
				 .captured = s->payload_captured,
				 .is_cut = s->is_cut,
				 .is_fragment = s->is_fragment,
				 .file = s->file };
	memcpy(to->payload, s->payload, n);
}

static void take_coverage(struct cap_result *r, struct kl_capture *c)
{
	struct kl_capture_coverage v;

	kl_capture_coverage(c, &v);
	kl_capture_progress(c, &r->progress);
	r->total = v.total;
	r->incomplete = v.incomplete;
	r->range_count = v.range_count;
	for (size_t i = 0; i < v.range_count && i < 16; i++)
		r->ranges[i] = v.ranges[i];
	r->file_count = v.file_count;
	for (size_t i = 0; i < v.file_count && i < 16; i++)
		r->files[i] = v.files[i];
	for (size_t i = 0; i < v.files[0].drop_count; i++)
		r->drops[i] = v.files[0].drops[i];
}

const struct cap_result *cap_read_paths(const char *const *paths, size_t count)
{
	static struct cap_result result;
	static struct kl_ports ports;
	struct cap_result *r = &result;
	const struct kl_captured *s;
	struct kl_capture *c = NULL;

	r->opened = false;
	r->count = r->range_count = r->file_count = r->incomplete = 0;
	r->error = (struct kl_error){ "" };
	r->total = (struct kl_capture_counts){ 0 };
	pkt_ports(&ports);
	r->status = kl_capture_open(paths, count, &ports, &c, &r->error);
	if (r->status)
		return r;
	r->opened = true;
	while ((r->status = kl_capture_next(c, &s, &r->error)) > 0)
		take(r, s);
	take_coverage(r, c);
	kl_capture_close(c);
	return r;
}

const struct cap_result *cap_read(const struct cap *c)
{
	const char *path = c->path;

	return cap_read_paths(&path, 1);
}
