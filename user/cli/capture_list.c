// SPDX-License-Identifier: GPL-2.0-only
#include "cli/capture_list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int kl_capture_list_split(struct kl_capture_list *list, const char *text, struct kl_error *err)
{
	char *rest, *item;

	if (!text)
		return 0;
	rest = list->names = strdup(text);
	if (!rest)
		return kl_fail(err, -ENOMEM, "out of memory");
	while ((item = strsep(&rest, ","))) {
		if (list->count == KL_CAPTURES_MAX)
			return kl_fail(err, -EINVAL, "more than %d files of one side",
				       KL_CAPTURES_MAX);
		list->paths[list->count++] = item;
	}
	return 0;
}

void kl_capture_list_done(struct kl_capture_list *list)
{
	free(list->names);
	list->names = NULL;
	list->count = 0;
}

static int check_file(const char *path, const char *written, bool twice, struct kl_error *err)
{
	struct stat here, there;

	if (!strcmp(path, "-") || stat(path, &here))
		return 0; /* reading it will tell */
	if (written && !stat(written, &there) && here.st_dev == there.st_dev &&
	    here.st_ino == there.st_ino)
		return kl_fail(err, -EINVAL, "%s: is a capture that is to be read", written);
	if (twice && !S_ISREG(here.st_mode) && !S_ISDIR(here.st_mode))
		return kl_fail(err, -EINVAL,
			       "%s: --write-lost reads the captures twice, and this is no file",
			       path);
	return 0;
}

int kl_capture_list_check(const struct kl_capture_list *list, const struct kl_options *o,
			  struct kl_error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		int r = check_file(list->paths[i], o->output, o->write_lost, err)
				?: check_file(list->paths[i], o->write_lost, o->write_lost, err);

		if (r)
			return r;
	}
	return 0;
}
