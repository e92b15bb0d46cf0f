// SPDX-License-Identifier: GPL-2.0-only
#include "report/report.h"

#include <errno.h>

int kl_report_flush(struct kl_report *r)
{
	errno = 0;
	if (fflush(r->out) || ferror(r->out))
		return errno ? -errno : -EIO;
	return 0;
}
