// SPDX-License-Identifier: GPL-2.0-only
/* guard.h: two areas, each with an untouchable page behind it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guard.h"

enum {
	GUARD_ROOM = 16384,
	GUARD_PAGE = 4096
};

const __u8 *guard_copy(int slot, const void *data, __u32 len)
{
	static __u8 *area[2];
	__u8 *to;

	if (!area[slot]) {
		area[slot] = mmap(NULL, GUARD_ROOM + GUARD_PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area[slot] == MAP_FAILED ||
		    mprotect(area[slot] + GUARD_ROOM, GUARD_PAGE, PROT_NONE))
			abort();
	}
	if (len > GUARD_ROOM)
		abort();
	to = area[slot] + GUARD_ROOM - len;
	if (len)
		memcpy(to, data, len);
	return to;
}
