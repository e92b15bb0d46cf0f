// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target for syslog: bytes of strangers, as they come by TCP and as they stand in a
 * file. Nothing may crash, every text must end, and what is read must not depend on how many bytes
 * come at a time.
 */
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "core/cucm_alarm.h"
#include "core/switch_message.h"
#include "source/syslog_lines.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

struct seen {
	__u64 count;
	__u64 sum; /* of all that was told */
};

static void need(bool what)
{
	if (!what)
		abort();
}

static void add_text(struct seen *seen, const char *text, size_t room)
{
	size_t len = strnlen(text, room);

	need(len < room);
	for (size_t i = 0; i < len; i++)
		seen->sum = seen->sum * 31 + (__u8)text[i];
}

static void take_mac(const struct kl_mac_evidence *m, uint64_t said_ns, void *arg)
{
	struct seen *seen = arg;

	need(m->happening < KL_MAC_HAPPENINGS && m->source == KL_MAC_FROM_SYSLOG);
	need(m->happening != KL_MAC_MOVED || m->has_mac);
	need(m->vlan < 4096);
	seen->count++;
	seen->sum = seen->sum * 31 + said_ns + m->happening;
	add_text(seen, m->port, sizeof(m->port));
	add_text(seen, m->from_port, sizeof(m->from_port));
	add_text(seen, m->told_by, sizeof(m->told_by));
}

static void take_alarm(const struct kl_alarm *a, uint64_t said_ns, void *arg)
{
	struct seen *seen = arg;

	need(a->type <= KL_ALARM_OTHER && a->name[0] && a->reason >= -1);
	need((a->reason >= 0) == (a->reason_name[0] != '\0'));
	need(a->device[0] || a->address.family);
	seen->count++;
	seen->sum = seen->sum * 31 + said_ns + (__u64)a->reason;
	add_text(seen, a->name, sizeof(a->name));
	add_text(seen, a->device, sizeof(a->device));
	add_text(seen, a->reason_name, sizeof(a->reason_name));
	add_text(seen, a->protocol, sizeof(a->protocol));
	add_text(seen, a->node, sizeof(a->node));
	add_text(seen, a->last_signal, sizeof(a->last_signal));
}

/* So many bytes at a time. */
static void read_all(const __u8 *data, size_t size, bool counted, size_t step, struct seen *ret,
		     struct kl_input_stats *ret_stats)
{
	const struct kl_syslog_handlers handlers = { take_mac, take_alarm, ret };
	struct kl_syslog_lines lines = { .near_ns = 1790000000ULL * 1000000000ULL };
	static struct kl_syslog_splitter split;

	memset(&split, 0, sizeof(split));
	split.from = "here";
	split.host = "host";
	split.counted = counted;
	kl_syslog_lines_begin(&lines, &handlers, true);
	for (size_t at = 0; at < size; at += step) {
		size_t len = size - at < step ? size - at : step;

		kl_syslog_split(&lines, &split, (const char *)data + at, len);
	}
	kl_syslog_split_end(&lines, &split);
	need(!split.len);
	need(lines.stats.understood == ret->count);
	need(lines.stats.understood <= lines.stats.received);
	need((lines.stats.malformed > 0) == (lines.stats.complaint[0] != '\0'));
	*ret_stats = lines.stats;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	for (int counted = 0; counted < 2; counted++) {
		struct kl_input_stats stats, by_bytes;
		struct seen seen = {}, again = {};

		read_all(data, size, counted, size ?: 1, &seen, &stats);
		read_all(data, size, counted, 7, &again, &by_bytes);
		need(seen.count == again.count && seen.sum == again.sum);
		need(memcmp(&stats, &by_bytes, sizeof(stats)) == 0);
	}
	return 0;
}
