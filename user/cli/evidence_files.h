/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Evidence that lies in files: syslog beside captures, and the call server's traces. Read once all
 * segments are in, so that what concerns no phone of theirs can be left out.
 */
#pragma once

#include "cli/options.h"
#include "core/diagnosis.h"
#include "util/error.h"

enum {
	KL_FILE_REMARKS = 3,
	KL_FILE_REMARK = 400,
};

/* Can the files be read, before minutes are spent on captures? Prints what is wrong. */
int kl_evidence_check_files(const struct kl_options *o);

/*
 * --syslog-file, whole, by the lines' own times, before the diagnosis is finished. What happened
 * while nothing was captured is left out. Sentences about what was not understood go to
 * ret_remarks; *ret_count says how many.
 */
int kl_evidence_read_syslog(const struct kl_options *o, struct kl_diagnosis *d,
			    char ret_remarks[KL_FILE_REMARKS][KL_FILE_REMARK], size_t *ret_count,
			    struct kl_error *err);

/* --cucm-trace, after it. offset_ns: the diagnosis' times are so much behind CLOCK_REALTIME. */
int kl_evidence_read_traces(const struct kl_options *o, struct kl_diagnosis *d, uint64_t offset_ns,
			    char ret_remarks[KL_FILE_REMARKS][KL_FILE_REMARK], size_t *ret_count,
			    struct kl_error *err);
