// SPDX-License-Identifier: GPL-2.0-only
#include "cli/evidence_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/known_macs.h"
#include "core/trace_match.h"
#include "core/unregistration.h"
#include "source/trace_file.h"
#include "util/cleanup.h"
#include "util/duration.h"

/*
 * Before the first segment and after the last one: clocks of switches and servers differ, and a
 * phone is given up some time after its last loss.
 */
#define AROUND_NS (300 * KL_NS_PER_S)

struct reading {
	const struct kl_options *o;
	struct kl_diagnosis *d;
	struct kl_known_macs macs;
	uint64_t timeless;
	uint64_t elsewhen;
	int error;
};

static void meet(const struct kl_session *s, void *arg)
{
	struct reading *reading = arg;

	kl_known_macs_add(&reading->macs, s->mac, true);
	kl_known_macs_add(&reading->macs, s->next_mac, false);
}

/* A file may tell of months: what is not of the captures' time neither explains nor needs a loss. */
static bool is_of_then(struct reading *reading, uint64_t said_ns)
{
	const struct kl_diagnosis *d = reading->d;

	if (!said_ns) {
		reading->timeless++;
		return false;
	}
	if (d->last_ns && (said_ns + AROUND_NS < d->first_ns || said_ns > d->last_ns + AROUND_NS)) {
		reading->elsewhen++;
		return false;
	}
	return true;
}

static void take_mac(const struct kl_mac_evidence *m, uint64_t said_ns, void *arg)
{
	struct reading *reading = arg;
	struct kl_mac_evidence dated = *m;
	int r;

	if (m->has_mac && !reading->o->all_macs && !kl_known_macs_has(&reading->macs, m->mac))
		return;
	if (!is_of_then(reading, said_ns))
		return;
	dated.time_ns = dated.earliest_ns = said_ns;
	r = kl_evidence_mac(&reading->d->evidence, &dated);
	if (r)
		reading->error = r;
}

static void take_alarm(const struct kl_alarm *a, uint64_t said_ns, void *arg)
{
	struct reading *reading = arg;
	struct kl_alarm dated = *a;
	int r;

	if (!is_of_then(reading, said_ns))
		return;
	dated.time_ns = said_ns;
	reading->d->evidence.has_alarms = true;
	r = kl_evidence_alarm(&reading->d->evidence, &dated);
	if (r)
		reading->error = r;
}

static void remark(char ret[KL_FILE_REMARKS][KL_FILE_REMARK], size_t *count, const char *option,
		   const struct kl_input_stats *s)
{
	if ((!s->malformed && !s->refused) || *count == KL_FILE_REMARKS)
		return;
	snprintf(ret[(*count)++], KL_FILE_REMARK,
		 "%s: %" PRIu64 " of %" PRIu64 " lines were malformed; the first: %s", option,
		 s->malformed, s->received, s->complaint);
}

int kl_evidence_read_syslog(const struct kl_options *o, struct kl_diagnosis *d,
			    char ret_remarks[KL_FILE_REMARKS][KL_FILE_REMARK], size_t *ret_count,
			    struct kl_error *err)
{
	struct kl_syslog_config config = { .files = o->syslog.files, .near_ns = d->last_ns };
	const struct kl_unregistrations_config patience = { .sip_grace_ns = o->sip_grace_ns,
							    .sccp_missed = o->sccp_missed };
	struct reading reading = { .o = o, .d = d };
	const struct kl_syslog_handlers handlers = { take_mac, take_alarm, &reading };
	struct kl_input_stats stats = {};
	struct kl_syslog *syslog = NULL;
	int r;

	if (!config.files)
		return 0;
	kl_sessions_visit(d->sessions, meet, &reading);
	r = kl_syslog_open(&config, &syslog, err);
	if (!r)
		r = kl_syslog_read(syslog, &handlers, err);
	if (!r && reading.error)
		r = kl_fail(err, reading.error, "%s", strerror(-reading.error));
	if (!r) {
		d->evidence.has_syslog = true;
		kl_syslog_stats(syslog, &stats);
		remark(ret_remarks, ret_count, "--syslog-file", &stats);
	}
	if (!r && reading.elsewhen && *ret_count < KL_FILE_REMARKS)
		snprintf(ret_remarks[(*ret_count)++], KL_FILE_REMARK,
			 "--syslog-file: %" PRIu64 " messages are of times of which there is no "
			 "capture, and were left out",
			 reading.elsewhen);
	if (!r && reading.timeless && *ret_count < KL_FILE_REMARKS)
		snprintf(ret_remarks[(*ret_count)++], KL_FILE_REMARK,
			 "--syslog-file: %" PRIu64
			 " messages have no time that can be relied on and were left out",
			 reading.timeless);
	if (!r && kl_unregistrations_match_lost(&patience, d->sessions, d->lost, d->lost_count,
						d->evidence.alarm.item, d->evidence.alarm.count))
		r = kl_fail(err, -ENOMEM, "out of memory");
	kl_syslog_close(syslog);
	kl_known_macs_done(&reading.macs);
	return r;
}

int kl_evidence_read_traces(const struct kl_options *o, struct kl_diagnosis *d, uint64_t offset_ns,
			    char ret_remarks[KL_FILE_REMARKS][KL_FILE_REMARK], size_t *ret_count,
			    struct kl_error *err)
{
	struct kl_input_stats stats = {};
	struct kl_trace_lines lines = {};
	int r;

	if (!o->traces)
		return 0;
	r = kl_trace_files_read(o->traces, &lines, &stats, err);
	lines.ahead_ns = -(int64_t)offset_ns;
	if (!r && (r = kl_trace_match(&lines, d, &d->evidence)))
		kl_fail(err, r, "%s", strerror(-r));
	if (!r)
		remark(ret_remarks, ret_count, "--cucm-trace", &stats);
	kl_evidence_sort(&d->evidence);
	kl_trace_lines_done(&lines);
	return r;
}

/* A file that is read must not be written. */
static bool is_written(const struct kl_options *o, const struct stat *read)
{
	const char *const written[] = { o->output, o->write_lost };
	struct stat st;

	for (size_t i = 0; i < KL_COUNT(written); i++) {
		if (written[i] && !stat(written[i], &st) && S_ISREG(st.st_mode) &&
		    st.st_dev == read->st_dev && st.st_ino == read->st_ino)
			return true;
	}
	return false;
}

/* NULL: nothing is wrong with it. */
static const char *fault_of(const struct kl_options *o, const char *path, bool may_come)
{
	struct stat st;

	if (!*path)
		return "an empty file name";
	if (stat(path, &st) || access(path, R_OK))
		return may_come ? NULL : strerror(errno);
	if (S_ISDIR(st.st_mode))
		return strerror(EISDIR);
	return is_written(o, &st) ? "is to be read and to be written" : NULL;
}

static int check_list(const struct kl_options *o, const char *option, const char *list,
		      bool may_come)
{
	_cleanup_free_ char *copy = list ? strdup(list) : NULL;
	char *rest = copy, *path;

	while ((path = strsep(&rest, ","))) {
		const char *fault = fault_of(o, path, may_come);

		if (!fault)
			continue;
		fprintf(stderr, "kaloss diagnose: %s: %s%s%s\n", option, path, *path ? ": " : "",
			fault);
		return -EINVAL;
	}
	return 0;
}

int kl_evidence_check_files(const struct kl_options *o)
{
	bool captures = !o->live.interface_count[KL_ACCESS];

	/* Live, a file that is to be followed may come later. */
	return check_list(o, "--cucm-trace", o->traces, false)
		       ?: check_list(o, "--syslog-file", o->syslog.files, !captures);
}
