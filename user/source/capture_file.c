// SPDX-License-Identifier: GPL-2.0-only
/*
 * libpcap reads the formats. What it does not tell comes from the watcher in the stream below it
 * (capture_blocks.h). Only the packets of what nearly every capture is, a pcap of the present version
 * in this host's byte order, are taken from the stream behind libpcap's back once it has opened the
 * file: its two calls of fread() for each packet take as long as all else here without the kernel's
 * copy.
 */
#include "source/capture_file.h"

#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "source/capture_link.h"
#include "source/capture_tail.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	METER_EVERY = 4096,    /* packets; a power of two */
	CAPTURED_MAX = 262144, /* of a packet; libpcap's limit, too */
};

#define MAGIC_US 0xa1b2c3d4U
#define MAGIC_NS 0xa1b23c4dU

/* Before each packet of a pcap. */
struct record {
	int32_t seconds;
	int32_t fraction;
	uint32_t captured;
	uint32_t len;
};

_Static_assert(CAPTURED_MAX + sizeof(struct record) <= KL_STREAM_WINDOW_BYTES, "a packet fits");

struct kl_reader {
	struct kl_capture_file *file;
	const struct kl_ports *ports;
	struct kl_capture_meter *meter;
	struct kl_stream *stream;
	const struct kl_blocks *blocks;
	FILE *stdio; /* the capture's, once there is one */
	pcap_t *pcap;
	enum kl_framing framing; /* of all packets, where blocks->framings is not set */
	struct pcap_pkthdr *header;
	const u_char *data;
	struct kl_window *window; /* of the stream, where libpcap does not read it; else NULL */
	struct pcap_pkthdr own;
	int32_t fraction_ns;
	uint32_t skip; /* bytes of the packet that was delivered */
	bool cut_off;
	char damage[64];
	int ahead; /* what pcap_next_ex() said of the packet that was read ahead; 0: none was */
	uint64_t first_ns;
	uint64_t metered; /* packets */
	bool stopped;
	struct kl_captured captured;
};

void kl_reader_close(struct kl_reader *r)
{
	if (!r)
		return;
	if (r->pcap)
		pcap_close(r->pcap); /* and with it the FILE */
	else if (r->stdio)
		fclose(r->stdio);
	kl_stream_close(r->stream);
	free(r);
}

static void kl_reader_closep(struct kl_reader **r)
{
	kl_reader_close(*r);
}

const struct kl_stream *kl_reader_stream(const struct kl_reader *r)
{
	return r->stream;
}

uint64_t kl_reader_first_ns(const struct kl_reader *r)
{
	return r->first_ns;
}

/* Where libpcap stands in the (unpacked) file. */
static uint64_t position(const struct kl_reader *r)
{
	off_t at = r->window ? kl_stream_used(r->stream) : ftello(r->stdio);

	return at < 0 ? 0 : (uint64_t)at;
}

static const char *unpacked(const struct kl_reader *r)
{
	return kl_stream_is_packed(r->stream) ? " unpacked" : "";
}

/* ---- Opening ---- */

static int fail_open(struct kl_reader *r, const char *reason, struct kl_error *err)
{
	const char *path = r->file->path;
	uint64_t at = position(r);
	int error = kl_stream_error(r->stream);

	if (error && error != -EPIPE)
		return kl_fail(err, error, "%s: byte %" PRIu64 "%s: %s", path, at, unpacked(r),
			       kl_stream_error_text(r->stream));
	if ((feof(r->stdio) || error) && at == 0)
		return kl_fail(err, -ENODATA, "%s: is empty", path);
	if (feof(r->stdio) || error)
		return kl_fail(err, -EBADMSG, "%s: ends at byte %" PRIu64 "%s: %s", path, at,
			       unpacked(r), reason);
	return kl_fail(err, -EBADMSG, "%s: no capture that can be read: %s, at byte %" PRIu64 "%s",
		       path, reason, at, unpacked(r));
}

static int check_link(struct kl_reader *r, struct kl_error *err)
{
	int link = pcap_datalink(r->pcap);
	const char *name = pcap_datalink_val_to_name(link);

	r->framing = kl_framing_of((__u32)link);
	/* In a pcapng another interface may be of use; those before the first packet are known. */
	if (r->framing != KL_FRAMING_UNKNOWN || r->blocks->knows_framing)
		return 0;
	return kl_fail(err, -EPROTONOSUPPORT,
		       "%s: link type %d (%s) is not read: only Ethernet, Linux cooked, raw IP and "
		       "loopback are",
		       r->file->path, link, name ?: "without a name");
}

/* libpcap: 64-bit seconds, but those of a pcap were 32 bits without sign before it signed them. */
static uint64_t time_of(const struct kl_reader *r, const struct timeval *t)
{
	int64_t seconds = t->tv_sec, ns = t->tv_usec;

	if (seconds < 0 && !r->blocks->is_ng)
		seconds += 1LL << 32;
	if (seconds < 0 || seconds > INT64_MAX / 2 / (int64_t)KL_NS_PER_S)
		return 0;
	if (ns < 0 || ns > INT32_MAX * 1000LL)
		return 0;
	return (uint64_t)seconds * KL_NS_PER_S + (uint64_t)ns;
}

/* The file ends, in the middle of a packet or before one. */
static int end_records(struct kl_reader *r)
{
	r->cut_off = r->window->at < r->window->end;
	r->window->at = r->window->end;
	return r->cut_off ? PCAP_ERROR : PCAP_ERROR_BREAK;
}

static inline bool has(struct kl_reader *r, size_t bytes)
{
	return (size_t)(r->window->end - r->window->at) >= bytes ||
	       kl_stream_fill(r->stream, bytes);
}

static int next_record(struct kl_reader *r)
{
	struct kl_window *w = r->window;
	struct record head;

	w->at += r->skip;
	r->skip = 0;
	if (!has(r, sizeof(head)))
		return end_records(r);
	memcpy(&head, w->at, sizeof(head));
	if (head.captured > CAPTURED_MAX) {
		snprintf(r->damage, sizeof(r->damage), "a captured length of %u bytes cannot be",
			 head.captured);
		w->at += sizeof(head);
		return PCAP_ERROR;
	}
	if (!has(r, sizeof(head) + head.captured))
		return end_records(r);
	r->own.ts.tv_sec = head.seconds;
	r->own.ts.tv_usec = (suseconds_t)head.fraction * r->fraction_ns;
	r->own.caplen = head.captured;
	r->own.len = head.len;
	r->data = w->at + sizeof(head);
	r->skip = (uint32_t)sizeof(head) + head.captured;
	return 1;
}

/* Where it can be, libpcap has read its last packet. */
static void take_over(struct kl_reader *r)
{
	uint32_t magic = kl_stream_magic(r->stream);

	if ((magic != MAGIC_US && magic != MAGIC_NS) || pcap_major_version(r->pcap) != 2 ||
	    pcap_minor_version(r->pcap) != 4)
		return;
	r->fraction_ns = magic == MAGIC_US ? 1000 : 1;
	r->window = kl_stream_take_over(r->stream, r->stdio);
	if (!r->window)
		return;
	r->own = *r->header;
	r->header = &r->own;
}

/* Returns what pcap_next_ex() does: 1 a packet, PCAP_ERROR_BREAK the end, PCAP_ERROR. */
static int next_packet(struct kl_reader *r)
{
	int ahead = r->ahead;

	if (__builtin_expect(!ahead && r->window, 1))
		return next_record(r);
	if (!ahead)
		return pcap_next_ex(r->pcap, &r->header, &r->data);
	r->ahead = 0;
	if (ahead == 1)
		take_over(r);
	return ahead;
}

int kl_reader_open(struct kl_capture_file *file, size_t number, const struct kl_ports *ports,
		   struct kl_capture_meter *meter, struct kl_reader **ret, struct kl_error *err)
{
	struct kl_reader *r __attribute__((cleanup(kl_reader_closep))) = calloc(1, sizeof(*r));
	char reason[PCAP_ERRBUF_SIZE] = "";
	int error;

	if (!r)
		return kl_fail(err, -ENOMEM, "%s: out of memory", file->path);
	free(file->drops);
	*file = (struct kl_capture_file){ .path = file->path };
	r->file = file;
	r->ports = ports;
	r->meter = meter;
	r->captured.file = number;
	error = kl_stream_open(file->path, &meter->read_bytes, &r->stream, &r->stdio, err);
	if (error)
		return error;
	r->blocks = kl_stream_blocks(r->stream);
	file->size_bytes = kl_stream_size(r->stream);
	r->pcap = pcap_fopen_offline_with_tstamp_precision(r->stdio, PCAP_TSTAMP_PRECISION_NANO,
							   reason);
	if (!r->pcap)
		return fail_open(r, reason, err);
	r->ahead = pcap_next_ex(r->pcap, &r->header, &r->data);
	if (r->ahead == 1)
		r->first_ns = time_of(r, &r->header->ts);
	error = check_link(r, err);
	if (error)
		return error;
	if (kl_tail_drops(r->stream, &file->drops, &file->drop_count))
		return kl_fail(err, -ENOMEM, "%s: out of memory", file->path);
	file->drops_foretold = file->drop_count > 0;
	*ret = r;
	r = NULL;
	return 0;
}

/* ---- Reading ---- */

static void note_time(struct kl_capture_file *f, uint64_t now)
{
	if (!now) {
		f->counts.untimed++;
		return;
	}
	if (now >= f->last_ns) {
		f->last_ns = now;
		if (!f->first_ns)
			f->first_ns = now;
		return;
	}
	f->counts.back_steps++;
	if (f->last_ns - now > f->counts.back_largest_ns)
		f->counts.back_largest_ns = f->last_ns - now;
	if (now < f->first_ns)
		f->first_ns = now;
}

static void meter_packets(struct kl_reader *r)
{
	__atomic_fetch_add(&r->meter->packets, r->file->counts.packets - r->metered,
			   __ATOMIC_RELAXED);
	r->metered = r->file->counts.packets;
	r->stopped = __atomic_load_n(&r->meter->stop, __ATOMIC_RELAXED);
}

static int take_drops(struct kl_reader *r, struct kl_error *err)
{
	struct kl_capture_file *f = r->file;
	struct kl_capture_drop *drops;

	if (!r->blocks->drops)
		return 0;
	drops = malloc(r->blocks->drops * sizeof(*drops));
	if (!drops)
		return kl_fail(err, -ENOMEM, "%s: out of memory", f->path);
	free(f->drops);
	f->drops = drops;
	f->drop_count = r->blocks->drops;
	memcpy(f->drops, r->blocks->drop, f->drop_count * sizeof(*f->drops));
	for (size_t i = 0; i < f->drop_count; i++)
		f->counts.dropped += f->drops[i].packets;
	return 0;
}

/* Says of the file how it ended. got: from next_packet(). */
static int finish(struct kl_reader *r, int got, struct kl_error *err)
{
	struct kl_capture_file *f = r->file;
	int error = kl_stream_error(r->stream);
	uint64_t next = f->counts.packets + 1;

	meter_packets(r);
	f->read_bytes = kl_stream_file_bytes(r->stream);
	f->end_packet = f->counts.packets;
	f->end_bytes = position(r);
	if (error == -ENOMEM || r->blocks->out_of_memory)
		return kl_fail(err, -ENOMEM, "%s: packet %" PRIu64 ": out of memory", f->path,
			       next);
	if (error == -EPIPE || (!error && got == PCAP_ERROR && (r->cut_off || feof(r->stdio)))) {
		f->end = KL_CAPTURE_TRUNCATED;
		snprintf(f->end_text, sizeof(f->end_text),
			 "%s: cut off in packet %" PRIu64 ", at byte %" PRIu64 "%s%s", f->path,
			 next, f->end_bytes, unpacked(r),
			 error ? " (the gzip data end early)" : "");
	} else if (error) {
		f->end = error == -EBADMSG ? KL_CAPTURE_DAMAGED : KL_CAPTURE_UNREADABLE;
		snprintf(f->end_text, sizeof(f->end_text),
			 "%s: packet %" PRIu64 ", byte %" PRIu64 "%s: %s", f->path, next,
			 f->end_bytes, unpacked(r), kl_stream_error_text(r->stream));
	} else if (got == PCAP_ERROR) {
		f->end = KL_CAPTURE_DAMAGED;
		snprintf(f->end_text, sizeof(f->end_text),
			 "%s: packet %" PRIu64 ", before byte %" PRIu64 "%s: %s", f->path, next,
			 f->end_bytes, unpacked(r), r->window ? r->damage : pcap_geterr(r->pcap));
	} else {
		f->end = KL_CAPTURE_COMPLETE;
	}
	return take_drops(r, err);
}

/* Fills r->captured from the packet that parsed as it says. Returns whether there is something. */
static bool take_parsed(struct kl_reader *r, enum kl_parsed parsed, const struct kl_packet *p,
			enum kl_framing framing, uint32_t payload_off)
{
	struct kl_capture_counts *counts = &r->file->counts;
	struct kl_captured *c = &r->captured;
	uint32_t there;

	counts->malformed += parsed == KL_MALFORMED;
	counts->cut_headers += parsed == KL_NOT_LINEAR;
	counts->fragments += parsed == KL_FRAGMENT;
	/* A later fragment has no ports: nobody knows whose it is. */
	if (parsed != KL_SEGMENT && (parsed != KL_FRAGMENT || !c->segment.family))
		return false;
	there = payload_off < p->captured ? p->captured - payload_off : 0;
	c->payload = p->data + (there ? payload_off : 0);
	c->payload_captured = there < c->segment.payload_len ? there : c->segment.payload_len;
	c->is_cut = c->payload_captured < c->segment.payload_len;
	c->is_fragment = parsed == KL_FRAGMENT;
	c->frame = p->data;
	c->frame_captured = p->captured;
	c->frame_len = p->len;
	c->link = kl_framing_link(framing);
	c->packet = counts->packets;
	counts->cut_segments += c->is_cut;
	if (!c->time_ns)
		return false;
	counts->segments++;
	return true;
}

static bool take_packet(struct kl_reader *r)
{
	struct kl_capture_counts *counts = &r->file->counts;
	struct kl_packet p = { r->data, r->header->caplen, r->header->len };
	enum kl_framing framing = r->framing;
	enum kl_parsed parsed;
	uint32_t payload_off = 0;

	if ((++counts->packets & (METER_EVERY - 1)) == 0)
		meter_packets(r);
	if (p.len < p.captured)
		p.len = p.captured;
	counts->cut_packets += p.captured < p.len;
	r->captured.time_ns = time_of(r, &r->header->ts);
	note_time(r->file, r->captured.time_ns);
	if (__builtin_expect(r->blocks->framings != NULL, 0)) {
		framing = kl_blocks_framing(r->blocks, counts->packets);
		if (framing == KL_FRAMING_UNKNOWN) {
			counts->other_links++;
			return false;
		}
	}
	parsed = kl_framing_parse(framing, &p, r->ports, &r->captured.segment, &payload_off);
	return parsed != KL_NOT_OURS && take_parsed(r, parsed, &p, framing, payload_off);
}

int kl_reader_next(struct kl_reader *r, const struct kl_captured **ret, struct kl_error *err)
{
	int got;

	while ((got = next_packet(r)) == 1) {
		if (take_packet(r)) {
			__atomic_fetch_add(&r->meter->segments, 1, __ATOMIC_RELAXED);
			*ret = &r->captured;
			return 1;
		}
		if (__builtin_expect(r->stopped, 0))
			return kl_fail(err, -ECANCELED, "%s: stopped", r->file->path);
	}
	return finish(r, got, err);
}
