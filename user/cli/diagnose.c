// SPDX-License-Identifier: GPL-2.0-only
/* kaloss diagnose: one shot, from interfaces, from captures, or from a history. */
#include "cli/diagnose.h"

#include <errno.h>
#include <string.h>

const struct kl_report_format *kl_diagnose_format(const struct kl_options *o)
{
	switch (o->format) {
	case KL_FORMAT_JSON:
		return &kl_report_json;
	case KL_FORMAT_JSONL:
		return &kl_report_jsonl;
	case KL_FORMAT_HTML:
		return &kl_report_html;
	default:
		return &kl_report_text;
	}
}

int kl_diagnose_open(const char *path, FILE **ret)
{
	if (!path)
		return 0;
	*ret = fopen(path, "we");
	if (*ret)
		return 0;
	fprintf(stderr, "kaloss diagnose: %s: %s\n", path, strerror(errno));
	return -EIO;
}

int kl_diagnose(const struct kl_options *o)
{
	if (o->history)
		return kl_diagnose_history(o);
	return o->live.interface_count[KL_ACCESS] ? kl_diagnose_live(o) : kl_diagnose_captures(o);
}
